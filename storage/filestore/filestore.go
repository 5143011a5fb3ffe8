package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/durable"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
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
// parents, with mode 0700. opts may be nil. Errors are those of the file system,
// as a [*storage.Error] with the path.
func Open(dir string, opts *Options) (*Store, error) {
	s := &Store{dir: dir, lockTimeout: defaultLockTimeout, turn: make(chan struct{}, 1)}
	if opts != nil && opts.LockTimeout != 0 {
		s.lockTimeout = max(opts.LockTimeout, 0)
	}
	for _, sub := range []string{s.tempDir(), s.hintDir()} {
		if err := durable.MkdirAll(sub, 0o700); err != nil {
			return nil, at(dir, err)
		}
	}
	s.removeStrays()
	return s, nil
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
	path := filepath.Join(s.dir, "lock")
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
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
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
