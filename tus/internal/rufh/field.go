package rufh

import (
	"net/http"

	"github.com/seed-175555ba/tus-go/internal/sfv"
)

// MaxSize is the largest offset and length that a field can carry.
const MaxSize = sfv.MaxInteger

// SetComplete sets whether the content of a request is the end of the upload.
func (d Draft) SetComplete(h http.Header, complete bool) {
	if d.Inverted {
		h.Set(HeaderIncomplete, sfv.FormatBoolean(!complete))
	} else {
		h.Set(HeaderComplete, sfv.FormatBoolean(complete))
	}
}

// Complete returns whether the upload is complete according to a response, and false if the
// response has no such field. Servers of Apple's SwiftNIO send the field of version 3 in
// versions 5 and 6, and vice versa, so that it counts in the absence of the other.
func (d Draft) Complete(h http.Header) (complete, known bool) {
	complete, known = sfv.ParseBoolean(h.Values(HeaderComplete))
	incomplete, inverted := sfv.ParseBoolean(h.Values(HeaderIncomplete))
	switch {
	case inverted && (d.Inverted || !known && !d.Authoritative):
		return !incomplete, true
	case known:
		return complete, true
	}
	return false, false
}

// SetOffset sets Upload-Offset. It returns false if n is out of range.
func SetOffset(h http.Header, n int64) bool { return setSize(h, HeaderOffset, n) }

// SetLength sets Upload-Length. It returns false if n is out of range.
func SetLength(h http.Header, n int64) bool { return setSize(h, HeaderLength, n) }

func setSize(h http.Header, name string, n int64) bool {
	value, ok := sfv.FormatInteger(n)
	if !ok || n < 0 {
		return false
	}
	h.Set(name, value)
	return true
}

// Offset returns Upload-Offset. It returns false if the field is absent or invalid.
func Offset(h http.Header) (int64, bool) { return size(h, HeaderOffset) }

// Length returns Upload-Length. It returns false if the field is absent or invalid.
func Length(h http.Header) (int64, bool) { return size(h, HeaderLength) }

func size(h http.Header, name string) (int64, bool) {
	n, ok := sfv.ParseInteger(h.Values(name))
	if !ok || n < 0 {
		return 0, false
	}
	return n, true
}
