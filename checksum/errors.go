package checksum

import (
	"errors"
	"fmt"
	"strconv"
)

// Errors of a [Pipeline], for use with errors.Is.
var (
	// ErrInvalidAlgorithm is returned when the New function of an algorithm is nil.
	ErrInvalidAlgorithm = errors.New("invalid algorithm")

	// ErrInvalidRange is returned when the offset or size of a range is negative, or
	// the range ends beyond the largest int64.
	ErrInvalidRange = errors.New("invalid range")

	// ErrClosed is returned when a [Pipeline] is used after Close.
	ErrClosed = errors.New("pipeline is closed")
)

func wrap(err error) error { return fmt.Errorf("checksum: %w", err) }

// quote quotes the name of an algorithm for an error, with at most 60 bytes of it.
func quote(s string) string {
	const limit = 60
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}
