package tus

import (
	"net/http"
	"time"
)

// Result describes an upload. If Run or Upload returned an error, it has the acknowledged
// offset and the URL to resume from.
type Result struct {
	// Job is the job of a batch ([Client.UploadAll]), otherwise zero.
	Job Job `json:"-"`
	// URL is the upload URL, for [Client.Resume]; an upload in parallel parts can only be
	// resumed through a Store. It is empty if there is none, or if the upload was complete
	// at its creation and the response had none.
	URL string
	// Size is the size of the source in bytes, 0 while that of a stream is unknown.
	Size int64
	// Offset is the number of bytes that the server acknowledged.
	Offset int64
	// AlreadyComplete is set if the store has a completed upload of the source (see
	// [Options.RememberCompleted]): nothing was sent, and URL is that of the completed
	// upload.
	AlreadyComplete bool
	// Expires is when the server deletes the upload if it is not complete; zero if no
	// response had an expiry.
	Expires time.Time
	// Checksum is the negotiated algorithm, empty for none.
	Checksum string
	// Digest is the digest of the whole source that [UploadOptions.Digest] selects, as
	// "sha256:" and hexadecimal digits. It is empty without that option, until the upload
	// is complete, and if AlreadyComplete is set and the record does not have it.
	Digest string
	// Stats has the counters of this session.
	Stats Stats
	// Creation is the response to the POST (in a parallel upload, that of the final
	// upload), and LastPatch the one to the last successful PATCH, both of this session.
	// They are never nil: without a response, StatusCode is 0 and Header is empty. If an
	// earlier session created the upload, and a Store has its record, the header of
	// Creation has the fields of [Options.KeepHeaders]. Some services return data there.
	Creation, LastPatch *Response
}

// newResult returns the result of an upload that has not started.
func newResult() *Result {
	return &Result{Creation: noResponse(), LastPatch: noResponse()}
}

// noResponse returns what stands for a response that was not received.
func noResponse() *Response { return &Response{Header: http.Header{}} }
