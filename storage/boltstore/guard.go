package boltstore

import (
	"errors"
	"fmt"
	"runtime/debug"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/disk"
)

// guard calls f, which uses bbolt. bbolt panics if the file is corrupt, and reading
// the mapped file faults if another program truncated it. guard converts both into an
// error and makes the store unusable: bbolt may still hold its locks.
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

// failure returns the error of this package for an error of bbolt, with the path.
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
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch),
		errors.Is(err, berrors.ErrIncompatibleValue): // the name of a bucket has a value
		err = fmt.Errorf("%w: %w", storage.ErrCorrupt, err)
	}
	return disk.ErrorAt(s.path, err)
}
