package tus

import (
	"net/http"
	"time"
)

// Result describes an upload that is complete, or with an error one that is not: how much
// of it the server has, and where it can be resumed.
type Result struct {
	// URL is the upload URL. [Client.Resume] continues there; an upload in parallel parts
	// is resumed through a Store only. It is empty if there is none, or if the response to
	// the creation named none because the upload was complete.
	URL string
	// Size is the size of the source in bytes, 0 while that of a stream is unknown.
	Size int64
	// Offset is the number of bytes that the server acknowledged.
	Offset int64
	// Expires is when the server deletes the upload if it is not complete; zero if no
	// response says so.
	Expires time.Time
	// Checksum is the negotiated algorithm, empty for none.
	Checksum string
	// Stats counts what this session did.
	Stats Stats
	// Creation is the response to the POST, in a parallel upload to that of the final
	// upload, and LastPatch the one to the last successful PATCH, both of this session.
	// They are never nil: without a response, StatusCode is 0 and Header is empty. Some
	// services return data there.
	Creation, LastPatch *Response
	// CreationHeader has the fields of [Options.KeepHeaders] in the response to the
	// creation, which with a Store may have been in an earlier session. It is never nil.
	CreationHeader http.Header
}

// newResult returns the result of an upload that has not started.
func newResult() *Result {
	return &Result{Creation: noResponse(), LastPatch: noResponse(), CreationHeader: http.Header{}}
}

// noResponse returns what stands for a response that was not received.
func noResponse() *Response { return &Response{Header: http.Header{}} }
