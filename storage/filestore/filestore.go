package filestore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/disk"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
)

const (
	// defaultLockTimeout is far longer than a thousand changes take.
	defaultLockTimeout = 5 * time.Second

	// maxTempAge is the age from which a temporary file is not in use.
	maxTempAge = time.Hour
)

// Options are the options of [Open]. The zero value is ready to use.
type Options struct {
	// LockTimeout is how long a change waits for the lock. 0 means 5 seconds; below
	// 0 it does not wait. The wait also ends when the context is done.
	LockTimeout time.Duration

	// OnWarning, if non-nil, is called by Open with an [*storage.Error] if other users
	// had access to the directory and Open changed its mode to 0700, or if they have
	// write access and the mode stays, because the directory holds other files or the
	// file system cannot change it.
	OnWarning func(error)
}

// Store is a [storage.Store] in a directory. Create it with [Open]. All methods,
// including Close, are safe for concurrent use.
type Store struct {
	dir         string
	lockTimeout time.Duration
	changing    *semaphore.Weighted // of one; held during a change
	closed      atomic.Bool
}

var _ storage.Store = (*Store)(nil)

// Open opens the store in the directory dir. It creates dir and missing parents with
// mode 0700. If other users have access to dir, Open changes its mode to 0700, unless
// it holds other files, or fails if another user owns it. Open also fails if a file or
// directory of the store is a symbolic link. opts may be nil. Errors are
// [*storage.Error] values with the path.
func Open(dir string, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	s := &Store{dir: dir, lockTimeout: defaultLockTimeout, changing: semaphore.NewWeighted(1)}
	if o.LockTimeout != 0 {
		s.lockTimeout = max(o.LockTimeout, 0)
	}
	if err := disk.MkdirAll(dir); err != nil {
		return nil, disk.ErrorAt(dir, err)
	}
	warning, err := tighten(dir)
	if err != nil {
		return nil, disk.ErrorAt(dir, err)
	}
	if warning != nil && o.OnWarning != nil {
		o.OnWarning(disk.ErrorAt(dir, warning))
	}
	if err := makeDirs(s.tempDir(), s.hintDir()); err != nil {
		return nil, err
	}
	if err := checkMode(s.lockPath(), 0); err != nil {
		return nil, disk.ErrorAt(s.lockPath(), err)
	}
	s.removeOldTemp()
	return s, nil
}

// tighten removes the permissions of other users from the directory. It keeps the mode
// of a directory that holds other files: the files of the store are private anyway.
func tighten(dir string) (warning, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(names, func(name string) bool { return !isStoreName(name) }) {
		return disk.Check(f, disk.Write)
	}
	return disk.Tighten(f)
}

// isStoreName reports whether name is a file or directory of a store.
func isStoreName(name string) bool {
	b, err := hex.DecodeString(name)
	return err == nil && len(b) == 1 || name == "lock" || name == "tmp" || name == "id"
}

// Close makes all methods return [storage.ErrClosed]. Closing again does nothing.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

// ready returns an error if the store is closed or ctx is done.
func (s *Store) ready(ctx context.Context) error {
	if s.closed.Load() {
		return disk.ErrorAt(s.dir, storage.ErrClosed)
	}
	return ctx.Err()
}

// lock excludes changes by other goroutines and processes until unlock is called.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	wait, cancel := context.WithTimeout(ctx, s.lockTimeout)
	defer cancel()
	if !s.changing.TryAcquire(1) && s.changing.Acquire(wait, 1) != nil {
		return nil, s.lockFailure(ctx)
	}
	f, err := s.lockFile(wait)
	if err != nil {
		s.changing.Release(1)
		if errors.Is(err, wait.Err()) {
			return nil, s.lockFailure(ctx)
		}
		return nil, disk.ErrorAt(s.lockPath(), err)
	}
	return func() {
		filelock.Unlock(f)
		f.Close()
		s.changing.Release(1)
	}, nil
}

// lockFailure returns the error of ctx, or ErrLocked if it is not done.
func (s *Store) lockFailure(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return disk.ErrorAt(s.lockPath(), fmt.Errorf("%w for more than %v", storage.ErrLocked, s.lockTimeout))
}

// lockFile opens and locks the file "lock". It is opened each time, so that all
// processes lock the same file even after it was deleted.
func (s *Store) lockFile(ctx context.Context) (*os.File, error) {
	if err := checkMode(s.lockPath(), 0); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(s.lockPath(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := filelock.Lock(ctx, f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (s *Store) lockPath() string { return filepath.Join(s.dir, "lock") }

func (s *Store) tempDir() string { return filepath.Join(s.dir, "tmp") }
func (s *Store) hintDir() string { return filepath.Join(s.dir, "id") }

// removeOldTemp deletes temporary files of killed processes. It ignores errors.
func (s *Store) removeOldTemp() {
	entries, _ := os.ReadDir(s.tempDir())
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > maxTempAge {
			os.Remove(filepath.Join(s.tempDir(), e.Name()))
		}
	}
}
