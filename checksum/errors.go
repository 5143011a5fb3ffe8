package checksum

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Conditions for use with errors.Is.
var (
	// ErrChecksumUnsupported is an algorithm that was asked for by name, but is
	// not registered or not offered by the server. It also matches
	// [errors.ErrUnsupported].
	ErrChecksumUnsupported error = unsupportedError{}

	// ErrInvalidAlgorithm is an algorithm without a New function, or whose name
	// is no lower-case token (RFC 9110, 5.6.2), or is "auto" or "off", which mean
	// something else where people write names.
	ErrInvalidAlgorithm = errors.New("invalid algorithm")

	// ErrDuplicateAlgorithm is a name that is registered already.
	ErrDuplicateAlgorithm = errors.New("algorithm is registered already")

	// ErrInvalidHeader is an Upload-Checksum that is not a name, one space, and
	// base64.
	ErrInvalidHeader = errors.New("invalid Upload-Checksum")

	// ErrInvalidRange is a range of bytes with a negative offset or size, or
	// beyond the largest offset.
	ErrInvalidRange = errors.New("invalid range")

	// ErrClosed is a [Pipeline] that was closed.
	ErrClosed = errors.New("pipeline is closed")
)

// unsupportedError matches errors.ErrUnsupported without repeating its text.
type unsupportedError struct{}

func (unsupportedError) Error() string        { return "algorithm not supported" }
func (unsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

func wrap(err error) error { return fmt.Errorf("checksum: %w", err) }

// quote makes text of a server or a user fit for an error: printable, and cut
// after 60 bytes.
func quote(s string) string {
	const limit = 60
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}

// quoteList quotes the first few names.
func quoteList(names []string) string {
	const limit = 8
	var b strings.Builder
	for i, name := range names[:min(len(names), limit)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(name))
	}
	if more := len(names) - limit; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}
