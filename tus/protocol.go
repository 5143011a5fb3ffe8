package tus

import (
	"errors"

	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

// protocol is one version of an upload protocol. It makes requests and interprets the
// responses to them. It sends nothing and keeps no state.
//
// A method that interprets a response returns an [*Error] if the protocol does not define
// the response.
type protocol interface {
	options() *request
	capabilities(*reply) (Capabilities, error)

	create(creation) *request
	created(*reply, creation) (created, error)

	patch(chunk) *request
	patched(*reply, chunk) (patched, error)

	head() *request
	info(*reply) (Info, error)

	terminate() *request
	terminated(*reply) error

	// checksum returns the header or trailer field that carries the checksum of a body.
	checksum(readahead.Sum) (name, value string)

	// explain adds to the cause of an unexpected response, which may be nil, what helps to
	// understand it.
	explain(r *reply, cause error) error

	// gone interprets a 404 or 410 for an upload in a response without header fields of the
	// protocol, by the response to options. It returns an error matching ErrUploadGone if
	// the upload server sent it, nil if a proxy may have sent it.
	gone(*reply) error
}

// verdict is the meaning of an unexpected response for an upload, in addition to the
// condition in its error.
type verdict struct {
	retryable  bool // the same request may succeed later
	contended  bool // another request may use the upload
	unstored   bool // the server stored nothing of the body
	refusesEnd bool // after the last bytes: the server may have stored them, but refuses to complete the upload
	malformed  bool // the reason may be a length that was sent twice, or a checksum algorithm
	unsized    bool // the reason may be a body without Content-Length
	cutOff     bool // a proxy may have ended the request before its end
	emptyOpen  bool // to HEAD: a new empty upload may be complete only after a PATCH
	hidden     bool // to HEAD: the server refuses to show the upload
	aboutParts bool // to a final upload: the reason may be its parts or their names

	// found is, after a 404 or 410 to a PATCH, the cause if HEAD then finds the upload.
	found error
}

// verdictOf returns the verdict in err, zero if there is none.
func verdictOf(err error) verdict {
	if err == nil {
		return verdict{}
	}
	var e *Error
	if !errors.As(err, &e) {
		return verdict{}
	}
	return e.verdict
}

// contended reports whether the server refused a request because of another one, and may
// accept it later. Another Uploader may then have the upload, so the lease is confirmed
// before the next HEAD.
func contended(err error) bool { return verdictOf(err).contended && IsRetryable(err) }
