package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/disk"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
)

// openFile opens or creates the file, as s.file, locks it, and checks it unless it is
// known to be valid. It returns an error for a corrupt file, or quarantines it and creates
// another one.
func (s *Store) openFile(ctx context.Context) (valid bool, err error) {
	for {
		// Opening a pipe or a device may have effects, such as to wake its reader.
		if info, err := os.Stat(s.path); err == nil && !info.Mode().IsRegular() {
			return false, errors.New("not a regular file")
		}
		if s.file, s.readOnly, err = openWritable(s.path, s.opts.Shared); err != nil {
			return false, err
		}
		if err := s.lockFile(ctx); err != nil {
			return false, err
		}
		usable, valid, err := s.inspect()
		if usable {
			return valid, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// openWritable opens or creates a file. If it may only be read and that is enough, it
// returns why.
func openWritable(path string, orReadable bool) (f *os.File, readOnly, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if !orReadable || !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		return f, nil, err
	}
	f, readErr := os.Open(path)
	if readErr != nil {
		return nil, nil, err
	}
	return f, err, nil
}

// lockFile locks the file, so that it is not written or renamed meanwhile, or closes it.
func (s *Store) lockFile(ctx context.Context) error {
	var err error
	if s.opts.Shared {
		err = s.lock.Lock(ctx, s.file)
	} else if err = filelock.Lock(ctx, s.file); err != nil { // the holder may keep it for days
		s.file.Close()
	}
	if err != nil && errors.Is(err, ctx.Err()) {
		return storage.ErrLocked
	}
	return err
}

// inspect checks the locked file, and closes it if it is not usable, which is no error if
// the file was renamed. If the content is known to be valid, it need not be loaded.
func (s *Store) inspect() (usable, valid bool, err error) {
	defer func() {
		if !usable { // also if OnWarning panics
			filelock.Unlock(s.file)
			s.file.Close()
		}
	}()
	info, current, err := s.stat()
	if err != nil || !current {
		return false, false, err
	}
	if s.seen.isLater(s.file, info) {
		return true, true, nil
	}
	if info.Size() == 0 {
		return s.readOnly == nil, false, s.readOnly
	}
	err = check(s.file, info.Size())
	var reading *fs.PathError
	switch {
	case err == nil:
		return true, false, nil
	case errors.As(err, &reading):
		return false, false, err
	case errors.Is(err, errUnfinished) && s.readOnly == nil:
		err = s.file.Truncate(0)
		return err == nil, false, err
	case errors.Is(err, errUnfinished):
		return false, false, s.readOnly
	}
	err = fmt.Errorf("%w: %w", storage.ErrCorrupt, err)
	if s.opts.Quarantine && s.readOnly == nil {
		err = s.quarantine(s.file, err)
	}
	return false, false, err
}

// stat returns the FileInfo of the open file, and whether it is still at the path.
func (s *Store) stat() (info fs.FileInfo, current bool, err error) {
	if info, err = s.file.Stat(); err != nil {
		return nil, false, err
	}
	now, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return info, false, nil
	}
	return info, err == nil && os.SameFile(info, now), err
}

// quarantine renames the file, which is locked and which c closes. Other openers that
// wait for the lock then find another file, or none, at the path. It does nothing if
// the file was renamed before it was locked.
func (s *Store) quarantine(c io.Closer, cause error) error {
	if _, current, err := s.stat(); err != nil || !current {
		return err
	}
	if runtime.GOOS == "windows" {
		c.Close() // an open file cannot be renamed
	}
	quarantined := s.path + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := os.Rename(s.path, quarantined); err != nil {
		return fmt.Errorf("renaming the corrupt file: %w", err)
	}
	s.opts.OnWarning(&storage.Error{Path: quarantined, Err: fmt.Errorf("renamed from %s: %w", s.path, cause)})
	return disk.SyncDir(filepath.Dir(s.path))
}
