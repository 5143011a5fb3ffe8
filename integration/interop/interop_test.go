package interop_test

import (
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	mib  = 1 << 20
	size = 32*mib + 7
)

// testContext ends a hanging step after 20 seconds. A step takes less than one.
func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// newFile writes a file of noise.
func newFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source.bin")
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(data)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// metadata is what both clients send and tusd must store.
func metadata() tus.Metadata {
	return tus.Metadata{"filename": "größe 1.bin", "empty": "", "filetype": "application/octet-stream"}
}

// interruption is a way to leave an upload unfinished.
type interruption struct {
	name     string
	deferred bool // the size is unknown
	start    func(t *testing.T, s *heldServer, file string) (uploadURL string)
}

func TestUpload_ResumesAcrossClients(t *testing.T) {
	js := newTusJS(t)
	file := newFile(t)
	want, err := tusdtest.HashFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, direction := range []struct {
		name          string
		interruptions []interruption
		finish        func(t *testing.T, url, file string, deferred bool)
	}{
		{"from Go to JavaScript", goInterruptions(), js.finish},
		{"from JavaScript to Go", js.interruptions(), goFinish},
	} {
		for _, i := range direction.interruptions {
			t.Run(direction.name+", "+i.name, func(t *testing.T) {
				s := newHeldServer(t)
				url := i.start(t, s, file)
				s.release() // tusd may still be storing bytes of the cut request
				had, err := s.Size(url)
				if err != nil {
					t.Fatal(err)
				}
				if had == 0 || had >= size {
					t.Fatalf("the first client left %d of %d bytes", had, size)
				}
				before := len(s.Requests())
				direction.finish(t, url, file, i.deferred)
				if got, err := s.SHA256(url); err != nil || got != want {
					t.Errorf("tusd has other bytes (%v)", err)
				}
				if left, err := s.Leftovers(); err != nil || len(left) > 0 {
					t.Errorf("tusd has leftovers: %v (%v)", left, err)
				}
				if all, err := s.Uploads(); err != nil || len(all) != 1 {
					t.Errorf("tusd has the uploads %v (%v)", all, err)
				}
				info, err := s.Info(url)
				if err != nil || !maps.Equal(tus.Metadata(info.MetaData), metadata()) {
					t.Errorf("metadata is %q (%v)", info.MetaData, err)
				}
				s.wantNothingResent(t, before, had)
			})
		}
	}
}

// heldServer is a tusd that stops reading each request after heldAt bytes until it
// is released, so that there is time to cut the request.
type heldServer struct {
	*tusdtest.Server
	reached context.Context // done when a request reached heldAt
	reach   context.CancelFunc

	released chan struct{}
	once     sync.Once
	requests sync.WaitGroup
}

const heldAt = 4 * mib

func newHeldServer(t *testing.T) *heldServer {
	s := &heldServer{released: make(chan struct{})}
	s.reached, s.reach = context.WithCancel(context.Background())
	s.Server = tusdtest.Start(t, &tusdtest.Options{Wrap: s.wrap})
	t.Cleanup(s.reach)
	t.Cleanup(s.release) // before the server is stopped
	return s
}

func (s *heldServer) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		defer s.requests.Done()
		r = r.WithContext(r.Context()) // a copy
		r.Body = &heldBody{ReadCloser: r.Body, server: s, left: heldAt}
		next.ServeHTTP(w, r)
	})
}

// release lets tusd continue, and waits until it has handled all requests.
func (s *heldServer) release() {
	s.once.Do(func() { close(s.released) })
	s.requests.Wait()
}

type heldBody struct {
	io.ReadCloser
	server *heldServer
	left   int
}

func (b *heldBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.server.reach()
		<-b.server.released
		return b.ReadCloser.Read(p)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// wantNothingResent fails unless the requests from index before on are a HEAD and
// PATCHes that send exactly the missing bytes.
func (s *heldServer) wantNothingResent(t *testing.T, before int, had int64) {
	t.Helper()
	at := had
	for i, r := range s.Requests()[before:] {
		switch {
		case i == 0 && r.Method != http.MethodHead, i > 0 && r.Method != http.MethodPatch:
			t.Errorf("request %d is %s", i, r.Method)
		case i > 0 && r.Offset() != at:
			t.Errorf("PATCH at %d, when tusd had %d bytes", r.Offset(), at)
		}
		at += r.Received
	}
	if at != size {
		t.Errorf("tusd received %d bytes for a file of %d", at, size)
	}
	if all := s.Received(); all != size {
		t.Errorf("the two clients sent %d bytes of a file of %d", all, size)
	}
}
