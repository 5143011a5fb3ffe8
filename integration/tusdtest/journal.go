package tusdtest

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Request is a request that a server received.
type Request struct {
	Method string
	Path   string
	// Proto is the HTTP version, such as "HTTP/1.1".
	Proto string
	// Header is a copy of the request header, made before any handler ran.
	Header http.Header
	// ContentLength is the declared size of the body in bytes, -1 if unknown.
	ContentLength int64
	// Received is the number of bytes of the body read so far.
	Received int64
}

// Offset returns the value of Upload-Offset, -1 if there is none.
func (r Request) Offset() int64 {
	n, err := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// Journal records the requests of a server. It is safe for concurrent use.
type Journal struct {
	mu       sync.Mutex
	requests []*Request
}

// Requests returns all requests in order of arrival.
func (j *Journal) Requests() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]Request, 0, len(j.requests))
	for _, r := range j.requests {
		all = append(all, *r)
	}
	return all
}

// Methods returns the methods of all requests in order of arrival.
func (j *Journal) Methods() []string {
	var methods []string
	for _, r := range j.Requests() {
		methods = append(methods, r.Method)
	}
	return methods
}

// Count returns the number of requests with a method.
func (j *Journal) Count(method string) int {
	return len(j.Of(method))
}

// Of returns the requests with a method.
func (j *Journal) Of(method string) []Request {
	var found []Request
	for _, r := range j.Requests() {
		if r.Method == method {
			found = append(found, r)
		}
	}
	return found
}

// Received returns the number of bytes read of all request bodies.
func (j *Journal) Received() int64 {
	var sum int64
	for _, r := range j.Requests() {
		sum += r.Received
	}
	return sum
}

func (j *Journal) add(r *Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.requests = append(j.requests, r)
}

// newRequest returns the entry for r.
func newRequest(r *http.Request) *Request {
	return &Request{
		Method: r.Method, Path: r.URL.Path, Proto: r.Proto,
		Header: r.Header.Clone(), ContentLength: r.ContentLength,
	}
}

// record adds every request to j before it calls next with a copy of the request.
// The original keeps its body: net/http looks at the type of the body to close an
// unread one.
func (j *Journal) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entry := newRequest(r)
		j.add(entry)
		r = r.WithContext(r.Context()) // a copy
		r.Body = &countedBody{ReadCloser: r.Body, add: func(n int) {
			j.mu.Lock()
			defer j.mu.Unlock()
			entry.Received += int64(n)
		}}
		next.ServeHTTP(w, r)
	})
}

type countedBody struct {
	io.ReadCloser
	add func(n int)
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.add(n)
	return n, err
}
