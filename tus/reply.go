package tus

import (
	"net/http"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// Response is a server response. Some services return results in its header or body.
type Response struct {
	// StatusCode is the HTTP status, and Header the header fields as received.
	StatusCode int
	Header     http.Header
	// Body is the start of the body, at most 64 KiB.
	Body []byte
}

// reply is a Response with what is known of the request.
type reply struct {
	*Response
	request    *request
	from       destination // that responded, after redirects
	shown      string      // URL of from, for errors
	secrets    secrets
	withheld   bool  // the client has credentials, and they were not sent
	overridden bool  // it was sent as POST
	sent       int64 // bytes of the payload that left before the response
}

func (r *reply) succeeded() bool { return r.StatusCode >= 200 && r.StatusCode <= 299 }

// message returns the body as text and as words for people.
func (r *reply) message() (text, words string) { return r.secrets.message(r.Response) }

// fail returns the error for an unexpected response.
func (r *reply) fail(cause error) *Error {
	_, words := r.message()
	wait, _ := httpx.RetryAfter(r.Header, time.Now())
	return &Error{
		Method: r.request.method, URL: r.shown, StatusCode: r.StatusCode, Offset: r.request.offset,
		Message: words, RetryAfter: wait, Err: r.secrets.redact(cause),
	}
}
