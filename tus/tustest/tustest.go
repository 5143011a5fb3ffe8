// Package tustest is an in-memory tus 1.0.0 server for tests of programs that
// upload. It implements every extension of the protocol, logs its requests, and
// injects faults:
//
//	srv := tustest.NewServer(t, nil)
//	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(1 << 20)})
//	client, _ := tus.NewClient(srv.Endpoint(), nil)
//	// … upload …
//	data, _ := srv.Content(uploadURL)
//
// It keeps all bytes in memory. It checks requests strictly against the protocol
// text.
package tustest

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// Options configures a server. The zero value has every extension and no
// limits.
type Options struct {
	// Extensions is the value of Tus-Extension; nil means all that are
	// implemented, an empty slice none.
	Extensions []string
	// MaxSize is Tus-Max-Size in bytes; 0 means no limit.
	MaxSize int64
	// ChecksumAlgorithms is Tus-Checksum-Algorithm; nil means all that are
	// implemented: sha1, md5, sha256, sha512 and crc32.
	ChecksumAlgorithms []string
	// BasePath is the path of the creation URL; "" means "/files/".
	BasePath string
	// Expires is the time after its last change at which an unfinished upload
	// expires; 0 means never.
	Expires time.Duration
	// AbsoluteLocation makes Location an absolute URL instead of a path.
	AbsoluteLocation bool
}

// AllExtensions returns the extensions that the server implements.
func AllExtensions() []string {
	return []string{
		"creation", "creation-with-upload", "creation-defer-length", "expiration",
		"checksum", "checksum-trailer", "termination", "concatenation", "concatenation-unfinished",
	}
}

// Without returns AllExtensions without the given ones.
func Without(extensions ...string) []string {
	var rest []string
	for _, e := range AllExtensions() {
		if !contains(extensions, e) {
			rest = append(rest, e)
		}
	}
	return rest
}

// Handler is the server as an http.Handler. It is safe for concurrent use.
type Handler struct {
	options Options
	closing chan struct{}
	close   sync.Once

	mu      sync.Mutex
	uploads map[string]*upload
	nextID  int
	faults  []*Fault
	log     []Request
	open    int // requests being served
	maxOpen int
}

// NewHandler returns a server without uploads. A nil opts is the zero Options.
func NewHandler(opts *Options) *Handler {
	h := &Handler{uploads: map[string]*upload{}, closing: make(chan struct{})}
	if opts != nil {
		h.options = *opts
	}
	if h.options.BasePath == "" {
		h.options.BasePath = "/files/"
	}
	if h.options.Extensions == nil {
		h.options.Extensions = AllExtensions()
	}
	if h.options.ChecksumAlgorithms == nil {
		h.options.ChecksumAlgorithms = []string{"sha1", "md5", "sha256", "sha512", "crc32"}
	}
	return h
}

// Release ends every stalled request. [Server.Close] calls it.
func (h *Handler) Release() { h.close.Do(func() { close(h.closing) }) }

// Server is a Handler that listens on a loopback port.
type Server struct {
	*Handler
	// HTTP is the HTTP server. NewServer closes it at the end of the test.
	HTTP *httptest.Server
}

// TB is the part of testing.TB that NewServer needs.
type TB interface {
	Helper()
	Cleanup(func())
}

// NewServer starts a server that is closed at the end of the test.
func NewServer(tb TB, opts *Options) *Server {
	tb.Helper()
	h := NewHandler(opts)
	s := &Server{Handler: h, HTTP: httptest.NewServer(h)}
	tb.Cleanup(s.Close)
	return s
}

// Endpoint returns the upload creation URL.
func (s *Server) Endpoint() string { return s.HTTP.URL + s.options.BasePath }

// Close stops the server and ends all its requests.
func (s *Server) Close() {
	s.Release()
	s.HTTP.CloseClientConnections()
	s.HTTP.Close()
}

// Request is a log entry for one request.
type Request struct {
	// Method, Path and Header are those of the received request.
	Method string
	Path   string
	Header http.Header
	// Body is the number of bytes read from the body.
	Body int64
	// Status is the status of the response, 0 if the connection was cut.
	Status int
}

// Requests returns the log in order of arrival.
func (h *Handler) Requests() []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Request(nil), h.log...)
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

// BytesReceived returns the number of bytes read from all request bodies.
func (h *Handler) BytesReceived() int64 {
	var n int64
	for _, r := range h.Requests() {
		n += r.Body
	}
	return n
}

// MaxConcurrent returns the highest number of requests served at the same time.
func (h *Handler) MaxConcurrent() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.maxOpen
}

func contains(list []string, s string) bool {
	for _, item := range list {
		if item == s {
			return true
		}
	}
	return false
}
