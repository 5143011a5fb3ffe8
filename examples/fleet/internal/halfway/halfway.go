// Package halfway is a tus server for tests of workers that end in the middle of an upload.
package halfway

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

const (
	size = 1_000_000
	// Offset is the number of bytes that the server stores of the first PATCH.
	Offset = 300_000
	// patience is how long a test waits for anything. It is reached only by tests that fail.
	patience = time.Minute
)

// Server is a tus server that stops reading the first PATCH at Offset until Cut is called.
type Server struct {
	*tustest.Server
	// File is a file to upload.
	File string

	data    []byte
	reached chan struct{} // closed when the first PATCH is at Offset
	cut     chan struct{}
	cutOnce sync.Once
}

// NewServer starts a server and creates a file. It sets TUS_ENDPOINT.
func NewServer(t *testing.T) *Server {
	t.Helper()
	s := &Server{
		Server: tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum", "checksum-trailer")}),
		File:   filepath.Join(t.TempDir(), "movie.mp4"),
		data:   make([]byte, size), reached: make(chan struct{}), cut: make(chan struct{}),
	}
	_, _ = rand.NewChaCha8([32]byte{}).Read(s.data) // never fails
	if err := os.WriteFile(s.File, s.data, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TUS_ENDPOINT", s.Endpoint())
	s.Inject(tustest.Fault{Method: http.MethodPatch, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		r.Body = &halfBody{ReadCloser: r.Body, server: s, left: Offset}
		h.Serve(w, r)
	}})
	t.Cleanup(s.Cut)
	return s
}

// halfBody is the body of the first PATCH.
type halfBody struct {
	io.ReadCloser
	server *Server
	left   int
}

func (b *halfBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		close(b.server.reached)
		<-b.server.cut
		return 0, errors.New("cut")
	}
	n, err := b.ReadCloser.Read(p[:min(b.left, len(p))])
	b.left -= n
	return n, err
}

// Wait waits until the server has Offset bytes. The upload is then in flight.
func (s *Server) Wait(t *testing.T) {
	t.Helper()
	Receive(t, s.reached, "the upload is not halfway")
}

// Cut ends the first PATCH. The server keeps Offset bytes.
func (s *Server) Cut() { s.cutOnce.Do(func() { close(s.cut) }) }

// CheckSentOnce tests that there is one upload with all bytes of the file, that it was resumed
// at Offset, and that nothing was sent twice.
func (s *Server) CheckSentOnce(t *testing.T) {
	t.Helper()
	uploads := s.Uploads()
	if len(uploads) != 1 || !uploads[0].Complete() || !bytes.Equal(uploads[0].Data, s.data) {
		t.Errorf("the server has %d uploads, want one with the bytes of the file", len(uploads))
	}
	var sent int64
	var offsets []string
	for _, r := range s.Requests() {
		sent += r.Body
		if r.Method == http.MethodPatch {
			offsets = append(offsets, r.Header.Get("Upload-Offset"))
		}
	}
	if sent != size {
		t.Errorf("%d bytes were sent, want %d", sent, size)
	}
	if len(offsets) != 2 || offsets[1] != strconv.Itoa(Offset) {
		t.Errorf("the offsets of the PATCH requests are %v, want 0 and %d", offsets, Offset)
	}
}

// Eventually waits until done returns true.
func Eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// Receive returns a value of a channel, or the zero value after the channel is closed.
func Receive[T any](t *testing.T, from <-chan T, failure string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("in %v: %s", patience, failure)
	}
	return v
}
