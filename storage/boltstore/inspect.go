package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/durable"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
)

// inspect checks the file, if it exists. It returns an error for a corrupt file, or
// quarantines it. It locks the file, so that the file is not written or renamed
// meanwhile. It returns true if the path was another file when the lock was acquired.
// Otherwise bbolt can open the path.
func (s *Store) inspect(ctx context.Context) (retry bool, err error) {
	info, err := os.Stat(s.path)
	if err != nil {
		return false, ignoreNotExist(err)
	}
	if !info.Mode().IsRegular() {
		return false, errors.New("not a regular file")
	}
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist), ignoreNotExist(err)
	}
	defer f.Close()
	if err := filelock.Lock(ctx, f); err != nil {
		if ctx.Err() != nil {
			err = storage.ErrLocked
		}
		return false, err
	}
	defer filelock.Unlock(f)

	info, current, err := s.statCurrent(f)
	if err != nil || !current {
		return err == nil, err
	}
	if info.Size() == 0 {
		return false, nil
	}
	err = check(f, info.Size())
	var reading *fs.PathError
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &reading):
		return false, err
	case errors.Is(err, errUnfinished):
		return false, f.Truncate(0)
	}
	err = fmt.Errorf("%w: %w", storage.ErrCorrupt, err)
	if s.opts.Quarantine {
		return false, s.quarantine(f, err)
	}
	return false, err
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// quarantineOpen quarantines the file that bbolt has open and locked. It does nothing if
// the file was renamed before bbolt acquired the lock.
func (s *Store) quarantineOpen(cause error) error {
	if _, current, err := s.statCurrent(s.file); err != nil || !current {
		return err
	}
	return s.quarantine(s, cause)
}

// statCurrent returns the FileInfo of f and whether f is still the file at the path.
func (s *Store) statCurrent(f *os.File) (info fs.FileInfo, current bool, err error) {
	if info, err = f.Stat(); err != nil {
		return nil, false, err
	}
	now, err := os.Stat(s.path)
	return info, err == nil && os.SameFile(info, now), ignoreNotExist(err)
}

// quarantine renames the file, which is locked and which c closes. Other openers that
// wait for the lock then find another file, or none, at the path.
func (s *Store) quarantine(c io.Closer, cause error) error {
	quarantined := s.path + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := renameOpen(c, s.path, quarantined); err != nil {
		return fmt.Errorf("renaming the corrupt file: %w", err)
	}
	s.opts.OnWarning(&storage.Error{Path: quarantined, Err: fmt.Errorf("renamed from %s: %w", s.path, cause)})
	return durable.SyncDir(filepath.Dir(s.path))
}
