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
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/disk"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
)

// openFile opens or creates the file, as s.file, and checks it. It returns an error for
// a corrupt file, or quarantines it and creates another one.
func (s *Store) openFile(ctx context.Context) error {
	for {
		// Opening a pipe or a device may have effects, such as to wake its reader.
		if info, err := os.Stat(s.path); err == nil && !info.Mode().IsRegular() {
			return errors.New("not a regular file")
		}
		f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		s.file = f
		usable, err := s.inspect(ctx)
		if usable {
			return nil
		}
		s.file.Close()
		if err != nil {
			return err
		}
	}
}

// inspect checks the file. It locks the file, so that the file is not written or
// renamed meanwhile. It returns false without an error if the file was renamed.
func (s *Store) inspect(ctx context.Context) (usable bool, err error) {
	if err := filelock.Lock(ctx, s.file); err != nil {
		if errors.Is(err, ctx.Err()) {
			err = storage.ErrLocked
		}
		return false, err
	}
	defer filelock.Unlock(s.file)

	info, current, err := s.stat()
	if err != nil || !current {
		return false, err
	}
	if info.Size() == 0 {
		return true, nil
	}
	err = check(s.file, info.Size())
	var reading *fs.PathError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &reading):
		return false, err
	case errors.Is(err, errUnfinished):
		err = s.file.Truncate(0)
		return err == nil, err
	}
	err = fmt.Errorf("%w: %w", storage.ErrCorrupt, err)
	if s.opts.Quarantine {
		err = s.quarantine(s.file, err)
	}
	return false, err
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
