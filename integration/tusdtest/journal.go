package tusdtest

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Request is one request that a server got.
type Request struct {
	Method string
	Path   string
	// Proto is the HTTP version, such as "HTTP/1.1".
	Proto string
	// Header is what was sent, copied before anything handled it.
	Header http.Header
	// ContentLength is the declared size of the body in bytes, -1 if none was.
	ContentLength int64
	// Received is how many bytes of the body were read so far.
	Received int64
}

// Offset is the value of Upload-Offset, -1 if there is none.
func (r Request) Offset() int64 {
	n, err := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// Journal is what a server was asked. It may be read at any time.
type Journal struct {
	mu       sync.Mutex
	requests []*Request
}

// Requests returns all requests in the order of their arrival.
func (j *Journal) Requests() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]Request, 0, len(j.requests))
	for _, r := range j.requests {
		all = append(all, *r)
	}
	return all
}

// Methods returns the methods of all requests in the order of their arrival.
func (j *Journal) Methods() []string {
	var methods []string
	for _, r := range j.Requests() {
		methods = append(methods, r.Method)
	}
	return methods
}

// Count returns how many requests of a method came.
func (j *Journal) Count(method string) int {
	return len(j.Of(method))
}

// Of returns the requests of a method.
func (j *Journal) Of(method string) []Request {
	var found []Request
	for _, r := range j.Requests() {
		if r.Method == method {
			found = append(found, r)
		}
	}
	return found
}

// Received is how many bytes of request bodies were read.
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

// describe makes the entry for r.
func describe(r *http.Request) *Request {
	return &Request{
		Method: r.Method, Path: r.URL.Path, Proto: r.Proto,
		Header: r.Header.Clone(), ContentLength: r.ContentLength,
	}
}

// record notes every request before next gets it. The ResponseWriter is handed
// on as it is, and so is the server's own Request, which would not close an
// unread body as it should if that had another type.
func (j *Journal) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entry := describe(r)
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
