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

// Complete returns whether the upload is complete according to a response, and false if
// the response does not say so. Servers of Apple's SwiftNIO send the field of version 3 in
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

// Outcome is what a final response to a creation or an append means.
type Outcome int

const (
	// Undecided is a response whose status decides, such as 409, 413, 503 or a redirect.
	Undecided Outcome = iota
	// Stored is the acknowledgement of an incomplete upload. The new offset is
	// Upload-Offset, or else the end of the content.
	Stored
	// Completed is the response of the target to the complete upload.
	Completed
	// Rejected is a response of the target that refuses the upload. It may arrive before
	// all content was sent.
	Rejected
)

// Outcome interprets the final response to a request. ended is set if the request declared
// its content to be the end of the upload.
//
// In versions 4 to 6 the text tells servers to send Upload-Complete: ?1 after an incomplete
// append, too, so that it means nothing there unless ended is set.
func (d Draft) Outcome(status int, h http.Header, ended bool) Outcome {
	complete, known := d.Complete(h)
	target := d.Authoritative && known && complete
	switch success := 200 <= status && status < 300; {
	case target && status >= 400:
		return Rejected
	case target && status >= 200:
		return Completed
	case success && ended && (complete || !known):
		return Completed
	case success:
		return Stored
	}
	return Undecided
}

// Notice is a 104 (Upload Resumption Supported).
type Notice struct {
	Location  string // the upload URL; "" for none
	Offset    int64  // acknowledged; meaningless unless HasOffset is set
	HasOffset bool
	Limits    Limits
}

// Notice interprets an informational response. It returns false for one of another status
// or version, which is ignored.
func (d Draft) Notice(status int, h http.Header) (Notice, bool) {
	if status != 104 || !d.Speaks(h) {
		return Notice{}, false
	}
	n := Notice{Location: h.Get("Location")}
	n.Offset, n.HasOffset = Offset(h)
	n.Limits, _ = d.Limits(h)
	return n, true
}

// Offered reports whether a response to OPTIONS says that the target supports resumable
// uploads: by Upload-Limit, or in version 8 by Accept-Patch.
func (d Draft) Offered(h http.Header) bool {
	if _, ok := d.Limits(h); ok {
		return true
	}
	return accepts(h.Values("Accept-Patch"))
}
