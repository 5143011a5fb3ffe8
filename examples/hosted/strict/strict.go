// Package strict is a tus server that enforces the rules of hosted services, to test
// settings:
//
//	srv := strict.NewServer(t, strict.Rules{Chunk: strict.Exactly(6 << 20)})
//	… upload to srv.Endpoint() …
//	if broken := srv.Broken(); len(broken) > 0 { … }
//
// Like these services, it supports neither checksums nor concatenation.
package strict

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Rules are the rules of a server in addition to the protocol. The zero value has
// none.
type Rules struct {
	// Chunk checks the size in bytes of each body; last reports that it completes
	// the upload. If it returns an error, the response is 400.
	Chunk func(size int64, last bool) error
	// Metadata are the keys that a creation must have, with a value; otherwise the
	// response is 400.
	Metadata []string
	// Authorize checks each request except OPTIONS. If it returns an error, the
	// response is 401.
	Authorize func(*http.Request) error
	// BodyLimit is the maximum size of a body in bytes. The response to a larger body
	// is 413, and it is not read, as by a proxy. 0 means no limit.
	BodyLimit int64
	// NoCreation refuses every POST with 403: only [Server.CreateUpload] creates
	// uploads.
	NoCreation bool
	// Minted permits one creation at each endpoint of [Server.MintEndpoint], and
	// refuses other creations with 403.
	Minted bool
	// SizeRequired refuses a creation without Upload-Length with 400.
	SizeRequired bool
	// Creation are header fields of the response to a creation, and Stored of that to a
	// request with bytes.
	Creation, Stored http.Header
}

// Exactly requires chunks of size bytes. The last one may be smaller.
func Exactly(size int64) func(int64, bool) error {
	return func(got int64, last bool) error {
		if got == size || last && got < size {
			return nil
		}
		return fmt.Errorf("a chunk has %d bytes, not %d", got, size)
	}
}

// Multiple requires chunks of a multiple of unit bytes, from least to most. The last
// one may have any size up to most.
func Multiple(unit, least, most int64) func(int64, bool) error {
	return func(got int64, last bool) error {
		switch {
		case got > most:
			return fmt.Errorf("a chunk has %d bytes, above %d", got, most)
		case last:
			return nil
		case got < least:
			return fmt.Errorf("a chunk has %d bytes, below %d", got, least)
		case got%unit != 0:
			return fmt.Errorf("a chunk has %d bytes, not a multiple of %d", got, unit)
		}
		return nil
	}
}

// Server is a server with rules on a loopback port. It embeds a [tustest.Handler],
// which can inject faults.
type Server struct {
	*tustest.Handler
	rules Rules
	http  *httptest.Server

	mu     sync.Mutex
	broken []error
	fresh  map[string]bool // minted endpoints, by their tokens
	minted int
}

// NewServer starts a server that is closed at the end of the test. tb is a
// *testing.T or *testing.B.
func NewServer(tb interface {
	Helper()
	Cleanup(func())
}, rules Rules) *Server {
	tb.Helper()
	without := []string{"checksum", "checksum-trailer", "concatenation", "concatenation-unfinished"}
	if rules.SizeRequired {
		without = append(without, "creation-defer-length")
	}
	s := &Server{
		Handler: tustest.NewHandler(&tustest.Options{Extensions: tustest.Without(without...)}),
		rules:   rules,
		fresh:   map[string]bool{},
	}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(func() {
		s.Release()
		s.http.Close()
	})
	return s
}

// Endpoint returns the upload creation URL.
func (s *Server) Endpoint() string { return s.http.URL + "/files/" }

// Broken returns an error for each request that broke a rule.
func (s *Server) Broken() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.broken)
}

// MintEndpoint returns an endpoint that creates one upload.
func (s *Server) MintEndpoint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minted++
	token := strconv.Itoa(s.minted)
	s.fresh[token] = true
	return s.Endpoint() + "?session=" + token
}

// CreateUpload creates an upload of length bytes, as a backend does for its users, and
// returns its URL.
func (s *Server) CreateUpload(length int64) string {
	r := httptest.NewRequest(http.MethodPost, s.Endpoint(), nil)
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Upload-Length", strconv.FormatInt(length, 10))
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, r)
	return s.http.URL + w.Header().Get("Location")
}

// refusal is the response to a request that broke a rule.
type refusal struct {
	code int
	err  error
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if refused := s.check(r); refused != nil {
		s.mu.Lock()
		s.broken = append(s.broken, fmt.Errorf("%s: %w", r.Method, refused.err))
		s.mu.Unlock()
		http.Error(w, refused.err.Error(), refused.code)
		return
	}
	if r.Method == http.MethodPost {
		maps.Copy(w.Header(), s.rules.Creation)
	}
	if r.ContentLength > 0 {
		maps.Copy(w.Header(), s.rules.Stored)
	}
	s.ServeHTTP(w, r)
}

// check returns a refusal if a request breaks a rule, nil otherwise.
func (s *Server) check(r *http.Request) *refusal {
	if r.Method == http.MethodOptions {
		return nil
	}
	if limit := s.rules.BodyLimit; limit > 0 && r.ContentLength > limit {
		return &refusal{http.StatusRequestEntityTooLarge, fmt.Errorf("a body has %d bytes, above %d", r.ContentLength, limit)}
	}
	if s.rules.Authorize != nil {
		if err := s.rules.Authorize(r); err != nil {
			return &refusal{http.StatusUnauthorized, err}
		}
	}
	if r.Method == http.MethodPost {
		if refused := s.checkCreation(r); refused != nil {
			return refused
		}
	}
	if s.rules.Chunk == nil || r.ContentLength == 0 {
		return nil
	}
	if err := s.rules.Chunk(r.ContentLength, s.isLast(r)); err != nil {
		return &refusal{http.StatusBadRequest, err}
	}
	return nil
}

func (s *Server) checkCreation(r *http.Request) *refusal {
	if s.rules.NoCreation {
		return &refusal{http.StatusForbidden, errors.New("only the backend creates uploads")}
	}
	if s.rules.SizeRequired && r.Header.Get("Upload-Length") == "" {
		return &refusal{http.StatusBadRequest, errors.New("the size is missing")}
	}
	for _, key := range s.rules.Metadata {
		if !hasValue(r.Header.Get("Upload-Metadata"), key) {
			return &refusal{http.StatusBadRequest, fmt.Errorf("metadata %s is missing", key)}
		}
	}
	if !s.rules.Minted {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token := r.URL.Query().Get("session")
	if !s.fresh[token] {
		return &refusal{http.StatusForbidden, errors.New("the endpoint was already used, or never created")}
	}
	delete(s.fresh, token)
	return nil
}

// hasValue reports whether an Upload-Metadata header has a value for key.
func hasValue(metadata, key string) bool {
	for pair := range strings.SplitSeq(metadata, ",") {
		if k, value, _ := strings.Cut(strings.TrimSpace(pair), " "); k == key && value != "" {
			return true
		}
	}
	return false
}

// isLast reports whether the body of a request completes the upload.
func (s *Server) isLast(r *http.Request) bool {
	var length, offset int64
	if r.Method == http.MethodPost {
		length, _ = strconv.ParseInt(r.Header.Get("Upload-Length"), 10, 64)
	} else {
		u, _ := s.Upload(r.URL.Path)
		length = u.Length
		if declared, err := strconv.ParseInt(r.Header.Get("Upload-Length"), 10, 64); err == nil { // deferred
			length = declared
		}
		offset, _ = strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
	}
	return offset+r.ContentLength == length
}
