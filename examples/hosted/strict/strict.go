// Package strict is a tus server that enforces the rules of hosted services, to try
// settings on:
//
//	srv := strict.NewServer(t, strict.Rules{Chunk: strict.Exactly(6 << 20)})
//	… upload to srv.Endpoint() …
//	if broken := srv.Broken(); len(broken) > 0 { … }
//
// It offers what such services do: no checksums and no concatenation.
package strict

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Rules are what a server insists on, besides the protocol. The zero value insists
// on nothing.
type Rules struct {
	// Chunk judges the size in bytes of each body; last says that the upload is
	// complete with it. A refused chunk gets 400.
	Chunk func(size int64, last bool) error
	// Metadata are the keys that a creation must have, with a value; otherwise it
	// gets 400.
	Metadata []string
	// Authorize judges each request but OPTIONS. One that it refuses gets 401.
	Authorize func(*http.Request) error
	// BodyLimit is how many bytes a body may have. A larger one gets 413 without
	// being read, as from a proxy. 0 means no limit.
	BodyLimit int64
	// NoCreation refuses every POST with 403: uploads are made by
	// [Server.CreateUpload] alone.
	NoCreation bool
	// Minted lets each endpoint of [Server.MintEndpoint] create one upload, and
	// refuses other creations with 403.
	Minted bool
	// Creation are header fields in the answer to a creation.
	Creation http.Header
}

// Exactly wants chunks of size bytes, but for the last, which may be smaller.
func Exactly(size int64) func(int64, bool) error {
	return func(got int64, last bool) error {
		if got == size || last && got < size {
			return nil
		}
		return fmt.Errorf("a chunk has %d bytes, not %d", got, size)
	}
}

// Multiple wants chunks of a multiple of unit bytes, from least to most. The last
// may be smaller, and odd.
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

// Server is a server with rules, on a loopback port. The rest of it is a
// [tustest.Handler], which can be told to misbehave, too.
type Server struct {
	*tustest.Handler
	rules Rules
	http  *httptest.Server

	mu     sync.Mutex
	broken []error
	fresh  map[string]bool // minted endpoints, by their tokens
	minted int
}

// NewServer starts a server that is closed at the end of the test.
func NewServer(tb tustest.TB, rules Rules) *Server {
	tb.Helper()
	s := &Server{
		Handler: tustest.NewHandler(&tustest.Options{
			Extensions: tustest.Without("checksum", "checksum-trailer", "concatenation", "concatenation-unfinished"),
		}),
		rules: rules,
		fresh: map[string]bool{},
	}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(func() {
		s.Release()
		s.http.Close()
	})
	return s
}

// Endpoint is the upload creation URL.
func (s *Server) Endpoint() string { return s.http.URL + "/files/" }

// Broken returns each case in which a rule was broken.
func (s *Server) Broken() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.broken)
}

// MintEndpoint returns an endpoint at which one upload can be created.
func (s *Server) MintEndpoint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minted++
	token := strconv.Itoa(s.minted)
	s.fresh[token] = true
	return s.Endpoint() + "?session=" + token
}

// CreateUpload makes an upload of length bytes, as a backend does for its users, and
// returns its URL.
func (s *Server) CreateUpload(length int64) string {
	r := httptest.NewRequest(http.MethodPost, s.Endpoint(), nil)
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Upload-Length", strconv.FormatInt(length, 10))
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, r)
	return s.http.URL + w.Header().Get("Location")
}

// refusal is a rule that was broken.
type refusal struct {
	code int
	err  error
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if refused := s.judge(r); refused != nil {
		s.mu.Lock()
		s.broken = append(s.broken, fmt.Errorf("%s: %w", r.Method, refused.err))
		s.mu.Unlock()
		http.Error(w, refused.err.Error(), refused.code)
		return
	}
	if r.Method == http.MethodPost {
		for name, values := range s.rules.Creation {
			w.Header()[name] = values
		}
	}
	s.ServeHTTP(w, r)
}

// judge returns the rule that a request breaks, nil for none.
func (s *Server) judge(r *http.Request) *refusal {
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
		if refused := s.judgeCreation(r); refused != nil {
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

func (s *Server) judgeCreation(r *http.Request) *refusal {
	if s.rules.NoCreation {
		return &refusal{http.StatusForbidden, errors.New("uploads are made by the backend")}
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
		return &refusal{http.StatusForbidden, errors.New("the endpoint was used, or never made")}
	}
	delete(s.fresh, token)
	return nil
}

// hasValue looks for a key in an Upload-Metadata header.
func hasValue(metadata, key string) bool {
	for pair := range strings.SplitSeq(metadata, ",") {
		if k, value, _ := strings.Cut(strings.TrimSpace(pair), " "); k == key && value != "" {
			return true
		}
	}
	return false
}

// isLast reports whether an upload is complete with the body of a request.
func (s *Server) isLast(r *http.Request) bool {
	var length, offset int64
	if r.Method == http.MethodPost {
		length, _ = strconv.ParseInt(r.Header.Get("Upload-Length"), 10, 64)
	} else {
		u, _ := s.Upload(r.URL.Path)
		length = u.Length
		offset, _ = strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
	}
	return offset+r.ContentLength == length
}
