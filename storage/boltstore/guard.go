package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/seed-175555ba/tus-go/storage"
)

// guard runs a use of bbolt. bbolt panics when it meets damage, and the file is
// mapped into memory, so that reading it is a fault if another program has made
// it shorter. Either is turned into an error, and is the end of the store: bbolt
// may have been left with its locks held.
func (s *Store) guard(f func() error) (err error) {
	if broken := s.broken.Load(); broken != nil {
		return *broken
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = s.failure(fmt.Errorf("%w while it was in use: %v", storage.ErrCorrupt, p))
			s.broken.Store(&err)
		}
	}()
	return s.failure(f())
}

// failure says what an error of bbolt means, and where.
func (s *Store) failure(err error) error {
	var known *storage.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	switch {
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		err = storage.ErrClosed
	case errors.Is(err, berrors.ErrTimeout):
		err = storage.ErrLocked
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", storage.ErrCorrupt, err)
	}
	return atPath(s.path, err)
}

// atPath makes an error that names the path, once.
func atPath(path string, err error) error {
	var op *fs.PathError
	if errors.As(err, &op) && op.Path == path {
		err = fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return &storage.Error{Path: path, Err: err}
}
