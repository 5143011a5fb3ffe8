package storage

import (
	"errors"
	"fmt"
)

// Errors that stores return, for use with errors.Is. Those about a file or a record
// are wrapped in an [*Error].
var (
	// ErrConflict is returned when Put or Delete is called with a revision that is
	// not the stored one: the record changed since it was read. Read it again.
	ErrConflict = errors.New("record changed since it was read")

	// ErrLocked is returned when another process, or another open store of this
	// process, holds the lock until the lock timeout ends.
	ErrLocked = errors.New("in use by another process")

	// ErrCorrupt is returned when a file or record is corrupt, or of another kind.
	ErrCorrupt = errors.New("corrupt")

	// ErrNewerVersion is returned when a newer release of this module wrote a file
	// or record in a format that this release does not support.
	ErrNewerVersion = errors.New("written by a newer version")

	// ErrInvalidRecord is returned when a record is invalid; see [Record.Validate].
	ErrInvalidRecord = errors.New("invalid record")

	// ErrTooLarge is returned when Put is called with a record that is too large for
	// the store. The stored record is unchanged.
	ErrTooLarge = errors.New("record is too large for the store")

	// ErrClosed is returned when a store is used after Close.
	ErrClosed = errors.New("store is closed")
)

// Error describes a failure of a store, with the path and the record at fault.
type Error struct {
	// Path is the file or directory. It is empty if the store has none.
	Path string
	// ID is the ID of the record. It is empty if the error is not about one record.
	ID string
	// Err is one of the Err… variables, the cause, or both wrapped together.
	Err error
}

// Error returns the path, the record and the cause.
func (e *Error) Error() string {
	text := "storage: "
	if e.Path != "" {
		text += e.Path + ": "
	}
	if e.ID != "" {
		text += "record " + e.ID + ": "
	}
	return text + e.Err.Error()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// invalid returns an error matching ErrInvalidRecord, with the reason.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalidRecord, fmt.Errorf(format, args...))
}
