package tus

import (
	"errors"

	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

// protocol is one version of an upload protocol: what its requests look like, and what
// the responses to them mean. It sends nothing and keeps no state.
//
// A method that makes a request leaves its URL out. One that reads a response returns an
// [*Error] if it is not the response that the protocol defines.
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

	// gone judges, by the response to options, what sends 404 or 410 for an upload
	// without showing that it speaks the protocol. It returns an error matching
	// ErrUploadGone if that is the upload server, nil if it may be a proxy.
	gone(*reply) error
}

// verdict is what an unexpected response means for an upload, besides its condition. The
// protocol finds it when it reads the response.
type verdict struct {
	retryable  bool // the same request may succeed later
	contended  bool // another request may use the upload
	unstored   bool // the server stored nothing of the body
	refusesEnd bool // if the body would have completed the upload: the server may have stored it, and refuses what follows
	malformed  bool // the reason may be a length sent for the second time, or a checksum algorithm
	unsized    bool // the reason may be a body without Content-Length
	emptyOpen  bool // of HEAD: a new empty upload may be complete only after a PATCH
	aboutParts bool // of a final upload: the reason may be its parts, or how they are named
}

// verdictOf returns the verdict on the response that err describes, zero without one.
func verdictOf(err error) verdict {
	var e *Error
	if !errors.As(err, &e) {
		return verdict{}
	}
	return e.verdict
}

// contended reports whether the server refused a request because of another one, and may
// accept it later. Then another Uploader may have the upload: the lease is confirmed before
// the server is asked for the offset.
func contended(err error) bool { return verdictOf(err).contended && IsRetryable(err) }
