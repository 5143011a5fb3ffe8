package rufh

import (
	"mime"
	"net/http"
	"strings"
)

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
//
// A 400 with the problem type [AlreadyCompleted] is about the request, whatever its outcome.
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

// Offered reports whether a target advertises resumable uploads in its response to OPTIONS: by Upload-Limit, or in version 8 by Accept-Patch.
func (d Draft) Offered(h http.Header) bool {
	if _, ok := d.Limits(h); ok {
		return true
	}
	return accepts(h.Values("Accept-Patch"))
}

// accepts reports whether Accept-Patch lists PartialUpload.
func accepts(lines []string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if media, _, err := mime.ParseMediaType(item); err == nil && media == PartialUpload {
				return true
			}
		}
	}
	return false
}
