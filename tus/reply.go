package tus

import (
	"net/http"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// Response is the response of a server. Some services return results in its header or body.
type Response struct {
	// StatusCode is the HTTP status, and Header the header fields as received.
	StatusCode int
	Header     http.Header
	// Body is the start of the body, at most 64 KiB.
	Body []byte
}

// hop is a request to one destination. A redirect leads to the next one.
type hop struct {
	request    *request
	to         destination
	redactor   *httpx.Redactor
	withheld   bool    // the client has credentials, and they were not sent
	overridden bool    // it was sent as POST
	requestID  string  // of Options.RequestIDHeader; "" before it was sent
	secrets    secrets // nil before it was sent
}

// fail returns the error for a request without a response.
func (h *hop) fail(cause error) *Error {
	return &Error{
		Method: h.request.method, URL: h.redactor.URL(h.to.url), Offset: h.request.offset, RequestID: h.requestID,
		Err: h.secrets.redact(cause),
	}
}

// reply is the response to a hop.
type reply struct {
	*Response
	hop
	sent      int64  // bytes of the payload that were sent before the response
	requestID string // of the server, "" if it is that of the request
}

func (r *reply) succeeded() bool { return r.StatusCode >= 200 && r.StatusCode <= 299 }

// fail returns the error for an unexpected response.
func (r *reply) fail(cause error) *Error {
	e := r.hop.fail(cause)
	e.StatusCode, e.ServerRequestID = r.StatusCode, r.requestID
	_, e.Message = r.secrets.message(r.Response)
	e.RetryAfter, _ = httpx.RetryAfter(r.Header, time.Now())
	return e
}
