package tus

import (
	"net/http"
	"time"
)

// Result is what became of an upload. It is returned with an error too, and
// then tells how far the upload came and where it can be resumed.
type Result struct {
	// URL is the upload URL, empty if there is none. [Client.Resume] goes on there,
	// except with an upload in parallel parts: that takes a store. It is also empty if
	// the server completed the upload in the creation without naming a URL.
	URL string
	// Size is the size of the source in bytes, 0 while that of a stream is not
	// known.
	Size int64
	// Offset is how many bytes the server has acknowledged.
	Offset int64
	// Expires is when the server forgets the upload if it is not complete; zero
	// if it did not say.
	Expires time.Time
	// Checksum is the algorithm that was negotiated, empty if none.
	Checksum string
	// Stats is what the upload cost.
	Stats Stats
	// Creation and LastPatch are the responses to the POST (of a parallel upload:
	// to the one that creates the final upload) and to the last successful PATCH of
	// this session. They are never nil: if there was none, StatusCode is 0, and
	// Header is empty. Some services return their results there.
	Creation, LastPatch *Response
	// CreationHeader holds the fields of [Options.KeepHeaders] in the response to the
	// creation, also if an earlier session created the upload and the client has a
	// Store. It is never nil, and empty if none were kept.
	CreationHeader http.Header
}

// newResult returns the result of an upload that has not begun.
func newResult() *Result {
	return &Result{Creation: noResponse(), LastPatch: noResponse(), CreationHeader: http.Header{}}
}

// noResponse stands for a response that was not received.
func noResponse() *Response { return &Response{Header: http.Header{}} }
