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

// inspect checks the file, if there is one, and deals with a damaged one as the
// policy says. When it returns nil, bbolt can open what is there.
func (s *Store) inspect(ctx context.Context, policy CorruptPolicy) error {
	for {
		info, err := os.Stat(s.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return errors.New("not a regular file")
		}
		again, err := s.inspectFile(ctx, policy)
		if err != nil || !again {
			return err
		}
	}
}

// inspectFile holds the lock of the file that it inspects, so that nobody writes
// to it or moves it meanwhile. It reports true if by the time that it got the
// lock, the path was another file.
func (s *Store) inspectFile(ctx context.Context, policy CorruptPolicy) (again bool, err error) {
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist), ignoreNotExist(err)
	}
	defer f.Close()
	lock := filelock.New(f)
	if err := lock.Lock(ctx); err != nil {
		if ctx.Err() != nil {
			err = storage.ErrLocked
		}
		return false, err
	}
	defer lock.Unlock()

	info, current, err := s.look(f)
	if err != nil || !current {
		return err == nil, err
	}
	if info.Size() == 0 {
		return false, nil // as good as new
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
	case policy == CorruptMovedAside:
		return false, s.moveAside(f)
	}
	return false, fmt.Errorf("%w: %w", storage.ErrCorrupt, err)
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// moveLoaded moves the file aside that bbolt has open, and so locked. It does
// nothing if somebody else has done so before bbolt got the lock.
func (s *Store) moveLoaded() error {
	if _, current, err := s.look(s.file); err != nil || !current {
		return err
	}
	return s.moveAside(s)
}

// look reports what f is, and whether it is still the file at the path.
func (s *Store) look(f *os.File) (info fs.FileInfo, current bool, err error) {
	if info, err = f.Stat(); err != nil {
		return nil, false, err
	}
	now, err := os.Stat(s.path)
	return info, err == nil && os.SameFile(info, now), ignoreNotExist(err)
}

// moveAside gives the file another name, which is locked and closed by c. Others
// who have found it damaged too will see, when they get the lock, that it is no
// longer there.
func (s *Store) moveAside(c io.Closer) error {
	aside := s.path + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := renameOpen(c, s.path, aside); err != nil {
		return fmt.Errorf("moving the damaged file aside: %w", err)
	}
	s.aside = aside
	return durable.SyncDir(filepath.Dir(s.path))
}
