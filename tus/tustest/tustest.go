// Package tustest is an in-memory tus 1.0.0 server for tests of programs that
// upload. It implements every extension of the protocol, logs its requests, and
// injects faults:
//
//	srv := tustest.NewServer(t, nil)
//	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(1 << 20)})
//	client, _ := tus.NewClient(srv.Endpoint(), nil)
//	// … upload …
//	upload, _ := srv.Upload(uploadURL)
//
// With [Options.Interop] it speaks the IETF draft (Resumable Uploads for HTTP), too, on the
// same URLs.
//
// It keeps all bytes in memory. It checks requests strictly against the protocol
// text.
package tustest

import (
	"context"
	"net/http/httptest"
	"slices"
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
	// Interop are the interop versions of the IETF draft that the server speaks beside tus
	// 1.0.0, from 3 to 9, or [RFC]; nil means none. A request of the draft has one of them
	// in Upload-Draft-Interop-Version; any other request is one of tus 1.0.0.
	Interop []int
	// Draft configures the server for requests of the draft. MaxSize and Expires are limits
	// there, too.
	Draft DraftOptions
}

// Without returns the extensions that the server implements, except the given ones.
func Without(extensions ...string) []string {
	all := []string{
		"creation", "creation-with-upload", "creation-defer-length", "expiration",
		"checksum", "checksum-trailer", "termination", "concatenation", "concatenation-unfinished",
	}
	return slices.DeleteFunc(all, func(e string) bool { return slices.Contains(extensions, e) })
}

// Handler is the server as an http.Handler. It is safe for concurrent use.
type Handler struct {
	options  Options
	released context.Context // done after Release
	release  context.CancelFunc

	mu      sync.Mutex
	uploads map[string]*upload
	nextID  int
	faults  []*Fault
	log     []Request
}

// NewHandler returns a server without uploads. A nil opts is the zero Options.
func NewHandler(opts *Options) *Handler {
	h := &Handler{uploads: map[string]*upload{}}
	h.released, h.release = context.WithCancel(context.Background())
	if opts != nil {
		h.options = *opts
	}
	if h.options.BasePath == "" {
		h.options.BasePath = "/files/"
	}
	if h.options.Extensions == nil {
		h.options.Extensions = Without()
	}
	if h.options.ChecksumAlgorithms == nil {
		h.options.ChecksumAlgorithms = []string{"sha1", "md5", "sha256", "sha512", "crc32"}
	}
	return h
}

// Release cancels the contexts of all requests, also of later ones, which ends
// [Stall] and [Delay]. [Server.Close] calls it.
func (h *Handler) Release() { h.release() }

// Server is a Handler that listens on a loopback port.
type Server struct {
	*Handler
	// HTTP is the HTTP server. NewServer closes it at the end of the test.
	HTTP *httptest.Server
}

// NewServer starts a server that is closed at the end of the test. tb is a
// *testing.T or *testing.B.
func NewServer(tb interface {
	Helper()
	Cleanup(func())
}, opts *Options) *Server {
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
