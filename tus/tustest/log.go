package tustest

import (
	"io"
	"net/http"
	"slices"
)

// Request is a log entry for one request.
type Request struct {
	// Method, Path and Header are those of the received request.
	Method string
	Path   string
	Header http.Header
	// Body is the number of bytes read from the body.
	Body int64
	// Status is the status of the response, 0 if the connection was cut or
	// hijacked.
	Status int
}

// Requests returns the log in order of arrival.
func (h *Handler) Requests() []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.log)
}

// Count returns the number of requests with a method.
func (h *Handler) Count(method string) int {
	n := 0
	for _, r := range h.Requests() {
		if r.Method == method {
			n++
		}
	}
	return n
}

// begin adds a request to the log and returns its index.
func (h *Handler) begin(r *http.Request) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = append(h.log, Request{Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone()})
	return len(h.log) - 1
}

func (h *Handler) end(n int, body int64, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log[n].Body, h.log[n].Status = body, status
}

// statusWriter records the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// countingBody counts the bytes read of a body.
type countingBody struct {
	io.ReadCloser
	n int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}
