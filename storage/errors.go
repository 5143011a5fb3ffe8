package storage

import (
	"errors"
	"fmt"
	"strings"
)

// Conditions that a program may want to tell apart, for use with errors.Is.
// Those that have to do with a file or a record come in an [*Error].
var (
	// ErrConflict is a Put of a record that was changed, deleted or created by
	// somebody else since it was read. Read it again.
	ErrConflict = errors.New("record was changed in the meantime")

	// ErrLocked is a store that another process (or another part of this one)
	// has in use, and did not let go of in time.
	ErrLocked = errors.New("in use by another process")

	// ErrCorrupt is a file or record that is damaged, or is no such thing at all.
	ErrCorrupt = errors.New("damaged")

	// ErrNewerVersion is a file or record that a newer release of this module
	// has written in a format which this one does not know.
	ErrNewerVersion = errors.New("written by a newer version")

	// ErrInvalidRecord is a record that no store accepts; see [Record.Validate].
	ErrInvalidRecord = errors.New("invalid record")

	// ErrClosed is the use of a store after its Close.
	ErrClosed = errors.New("store is closed")
)

// Error is something that went wrong with a file or a record of a store. It
// tells which.
type Error struct {
	// Path is the file or folder, empty if the store has none.
	Path string
	// ID is the record, empty if it is not about a single one.
	ID string
	// Err is the condition (one of the Err… variables), the cause, or both.
	Err error
}

// Error names path, record and cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("storage: ")
	if e.Path != "" {
		b.WriteString(e.Path)
		b.WriteString(": ")
	}
	if e.ID != "" {
		b.WriteString("record ")
		b.WriteString(e.ID)
		b.WriteString(": ")
	}
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns the condition or cause.
func (e *Error) Unwrap() error { return e.Err }

// invalid says what makes a record impossible.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalidRecord, fmt.Errorf(format, args...))
}
