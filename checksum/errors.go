package checksum

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Errors of this package, for use with errors.Is.
var (
	// ErrChecksumUnsupported is returned when a named algorithm is not registered or
	// not advertised by the server. It also matches [errors.ErrUnsupported].
	ErrChecksumUnsupported error = unsupportedError{}

	// ErrInvalidAlgorithm is returned when the New function of an algorithm is nil, or
	// its name is not a lower-case token (RFC 9110, 5.6.2), or is "auto" or "off",
	// which are reserved for a [Choice].
	ErrInvalidAlgorithm = errors.New("invalid algorithm")

	// ErrDuplicateAlgorithm is returned when an algorithm of the name is registered.
	ErrDuplicateAlgorithm = errors.New("algorithm is already registered")

	// ErrInvalidHeader is returned when an Upload-Checksum header is not a name, one
	// space, and base64.
	ErrInvalidHeader = errors.New("invalid Upload-Checksum")
)

// unsupportedError matches errors.ErrUnsupported without repeating its text.
type unsupportedError struct{}

func (unsupportedError) Error() string        { return "algorithm not supported" }
func (unsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

func wrap(err error) error { return fmt.Errorf("checksum: %w", err) }

// quote quotes text of a server or a user for an error, with at most 60 bytes of it.
func quote(s string) string {
	const limit = 60
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}

// quoteList quotes the first 8 names.
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
