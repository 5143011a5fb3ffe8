package filestore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/durable"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
	"github.com/seed-175555ba/tus-go/storage/internal/private"
)

const (
	// defaultLockTimeout is far longer than a thousand others need for a change.
	defaultLockTimeout = 5 * time.Second

	// strayAge is when a temporary file cannot be in use any more.
	strayAge = time.Hour
)

// Options says how to open a store. The zero value works.
type Options struct {
	// LockTimeout is how long a change waits for others to make theirs. 0 means
	// 5 seconds; below 0 it does not wait. The context can end the wait before.
	LockTimeout time.Duration

	// OnWarning, if not nil, is called by Open with an [*storage.Error] for what is
	// no failure: other users had access to the folder, and its permissions were
	// changed to 0700; or they have write access, and the permissions stay, because
	// the folder holds other files or the file system has no permissions.
	OnWarning func(error)
}

// Store is a [storage.Store] in a folder. Make it with [Open]. Its methods may be
// called from any goroutine, Close included.
type Store struct {
	dir         string
	lockTimeout time.Duration
	turn        chan struct{} // holds a token while a goroutine of this process makes a change
	closed      atomic.Bool
}

var _ interface {
	storage.Store
	storage.Expirer
} = (*Store)(nil)

// Open opens the store in the folder dir. If need be it makes the folder, and its
// parents, with mode 0700. A folder to which other users have access is made private,
// unless it holds other files too; one that belongs to another user is an error, as is
// a symbolic link in place of a file or folder of the store. opts may be nil. Errors
// are a [*storage.Error] with the path.
func Open(dir string, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	s := &Store{dir: dir, lockTimeout: defaultLockTimeout, turn: make(chan struct{}, 1)}
	if o.LockTimeout != 0 {
		s.lockTimeout = max(o.LockTimeout, 0)
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, at(dir, err)
	}
	warning, err := tighten(dir)
	if err != nil {
		return nil, at(dir, err)
	}
	if warning != nil && o.OnWarning != nil {
		o.OnWarning(at(dir, warning))
	}
	for _, sub := range []string{s.tempDir(), s.hintDir()} {
		if err := makeFolder(sub); err != nil {
			return nil, err
		}
	}
	if err := checkMode(s.lockPath(), 0); err != nil {
		return nil, at(s.lockPath(), err)
	}
	s.removeStrays()
	return s, nil
}

// tighten takes the folder's permissions from other users. A folder that holds other
// files as well is left as it is: those of the store are private by themselves.
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
	if slices.ContainsFunc(names, func(name string) bool { return !ours(name) }) {
		return private.Check(f, private.Write)
	}
	return private.Tighten(f)
}

// ours reports whether a store makes files or folders of that name.
func ours(name string) bool {
	b, err := hex.DecodeString(name)
	return err == nil && len(b) == 1 || name == "lock" || name == "lock.held" || name == "tmp" || name == "id"
}

// Close makes everything after it return [storage.ErrClosed]. A second Close does
// nothing.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

// ready is the first question of every operation.
func (s *Store) ready(ctx context.Context) error {
	if s.closed.Load() {
		return at(s.dir, storage.ErrClosed)
	}
	return ctx.Err()
}

// lock lets the caller alone change the folder, among all goroutines and processes,
// until unlock is called.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	wait, cancel := context.WithTimeout(ctx, s.lockTimeout)
	defer cancel()
	path := s.lockPath()
	select {
	case s.turn <- struct{}{}:
	default:
		select {
		case s.turn <- struct{}{}:
		case <-wait.Done():
			return nil, s.lockFailure(ctx, path)
		}
	}
	endTurn := func() { <-s.turn }

	// It is opened each time, so that all go by the same file even after somebody
	// has deleted it.
	err = checkMode(path, 0)
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	}
	if err != nil {
		endTurn()
		return nil, at(path, err)
	}
	lock := filelock.New(f)
	if err := lock.Lock(wait); err != nil {
		f.Close()
		endTurn()
		if wait.Err() != nil {
			return nil, s.lockFailure(ctx, path)
		}
		return nil, at(path, err)
	}
	return func() {
		lock.Unlock()
		f.Close()
		endTurn()
	}, nil
}

func (s *Store) lockFailure(ctx context.Context, path string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return at(path, fmt.Errorf("%w for more than %v", storage.ErrLocked, s.lockTimeout))
}

func (s *Store) lockPath() string { return filepath.Join(s.dir, "lock") }

func (s *Store) tempDir() string { return filepath.Join(s.dir, "tmp") }
func (s *Store) hintDir() string { return filepath.Join(s.dir, "id") }

// removeStrays deletes what killed processes have left. Whatever cannot be deleted
// does no harm.
func (s *Store) removeStrays() {
	entries, _ := os.ReadDir(s.tempDir())
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > strayAge {
			os.Remove(filepath.Join(s.tempDir(), e.Name()))
		}
	}
}

// at makes an error that names the path, once.
func at(path string, err error) error {
	var op *fs.PathError
	if errors.As(err, &op) && op.Path == path {
		err = fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return &storage.Error{Path: path, Err: err}
}
