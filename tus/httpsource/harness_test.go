package httpsource_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// longAgo is a Last-Modified that counts as a strong validator.
var longAgo = time.Date(2020, 2, 29, 12, 0, 0, 0, time.UTC)

// randomBytes returns reproducible noise, in which misplaced bytes are detected.
func randomBytes(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

// site is the server of a source, by default with ranges and a strong ETag.
type site struct {
	// respond, if not nil, may handle the n-th request (from 0) and then returns
	// true.
	respond func(w http.ResponseWriter, r *http.Request, n int) bool

	mu       sync.Mutex
	data     []byte
	etag     string
	modified time.Time
	log      []*http.Request
	conns    int
}

func newSite(data []byte) *site { return &site{data: data, etag: `"v1"`} }

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	n := len(s.log)
	s.log = append(s.log, r.Clone(context.Background()))
	s.mu.Unlock()
	if s.respond == nil || !s.respond(w, r, n) {
		s.serve(w, r)
	}
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	data, etag, modified := s.data, s.etag, s.modified
	s.mu.Unlock()
	if etag != "" {
		w.Header().Set("Etag", etag)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", modified, bytes.NewReader(data))
}

// serveWhole serves without ranges, and without a length if chunked.
func (s *site) serveWhole(w http.ResponseWriter, r *http.Request) {
	r.Header.Del("Range")
	s.serve(w, r)
}

func (s *site) serveChunked(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.etag != "" {
		w.Header().Set("Etag", s.etag)
	}
	w.WriteHeader(http.StatusOK)
	http.NewResponseController(w).Flush() // so that net/http does not set the length
	w.Write(s.data)
}

func (s *site) change(data []byte, etag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data, s.etag = data, etag
}

// requests returns the log.
func (s *site) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.log...)
}

// wantRanges fails unless these were the Range headers of all requests.
func (s *site) wantRanges(t testing.TB, want ...string) {
	t.Helper()
	wantRanges(t, s.requests(), want)
}

// wantDownloads is wantRanges without the requests that only check the version.
func (s *site) wantDownloads(t testing.TB, want ...string) {
	t.Helper()
	wantRanges(t, slices.DeleteFunc(s.requests(), func(r *http.Request) bool {
		return r.Header.Get("If-None-Match") != ""
	}), want)
}

func wantRanges(t testing.TB, requests []*http.Request, want []string) {
	t.Helper()
	var got []string
	for _, r := range requests {
		if r.Method != http.MethodGet {
			t.Errorf("request is a %s", r.Method)
		}
		got = append(got, r.Header.Get("Range"))
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("requested ranges were %q, want %q", got, want)
	}
}

// start serves the site until the end of the test and returns its URL.
func (s *site) start(t testing.TB) string {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.mu.Lock()
			s.conns++
			s.mu.Unlock()
		}
	}
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL + "/data.bin"
}

func (s *site) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// cutAfter writes the first n bytes of a body and then breaks the connection.
func cutAfter(w http.ResponseWriter, n int) http.ResponseWriter { return &cutWriter{w, n} }

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(p []byte) (int, error) {
	if len(p) < w.left {
		w.left -= len(p)
		return w.ResponseWriter.Write(p)
	}
	w.ResponseWriter.Write(p[:w.left])
	cut(w.ResponseWriter)
	return 0, nil
}

// cut breaks the connection after what was written.
func cut(w http.ResponseWriter) {
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// impatient retries without waiting.
func impatient() tus.RetryPolicy {
	return tus.RetryPolicy{Delay: func(int) time.Duration { return 0 }}
}

// newSource makes a source that retries without waiting, and whose connections
// are closed at the end of the test.
func newSource(t testing.TB, url string, opts *httpsource.Options) *httpsource.Source {
	t.Helper()
	var o httpsource.Options
	if opts != nil {
		o = *opts
	}
	if o.Retry.Delay == nil {
		o.Retry.Delay = impatient().Delay
	}
	s, err := httpsource.New(url, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.CloseIdleConnections)
	return s
}

// newClient makes a client of srv that retries without waiting.
func newClient(t testing.TB, srv *tustest.Server, opts *tus.Options) *tus.Client {
	t.Helper()
	var o tus.Options
	if opts != nil {
		o = *opts
	}
	o.Retry.Delay = impatient().Delay
	c, err := tus.NewClient(srv.Endpoint(), &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// testContext bounds a test that would otherwise hang.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func stat(t testing.TB, s *httpsource.Source) tus.SourceInfo {
	t.Helper()
	info, err := s.Stat(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// readFrom reads everything from offset on.
func readFrom(t testing.TB, s *httpsource.Source, offset int64) ([]byte, error) {
	t.Helper()
	r, err := s.Open(testContext(t), offset)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func wantRead(t testing.TB, s *httpsource.Source, offset int64, want []byte) {
	t.Helper()
	got, err := readFrom(t, s, offset)
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(got) != sha256.Sum256(want) {
		t.Fatalf("read %d bytes that differ from the %d of the source", len(got), len(want))
	}
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want one that matches %q", err, want)
	}
}

// wantStored fails unless the server holds exactly data as a complete upload.
func wantStored(t testing.TB, srv *tustest.Server, url string, data []byte) {
	t.Helper()
	up, ok := srv.Upload(url)
	switch {
	case !ok:
		t.Fatalf("server has no upload %q", url)
	case !up.Complete():
		t.Fatalf("upload has %d bytes of %d and is not complete", len(up.Data), up.Length)
	case sha256.Sum256(up.Data) != sha256.Sum256(data):
		t.Fatalf("server holds %d bytes that differ from the %d of the source", len(up.Data), len(data))
	}
}

// bubble runs f in a synctest bubble with a source whose server is reached
// through in-memory connections, so that time is fake.
func bubble(t *testing.T, h http.Handler, f func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := faults.NewPipeListener()
		var serving sync.WaitGroup
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			serving.Add(1)
			defer serving.Done()
			h.ServeHTTP(w, r)
		})}
		serving.Go(func() { server.Serve(listener) })
		transport := &http.Transport{DialContext: listener.Dial}
		defer func() {
			transport.CloseIdleConnections()
			server.Close()
			serving.Wait()
		}()
		f(t, func(opts *httpsource.Options) *httpsource.Source {
			var o httpsource.Options
			if opts != nil {
				o = *opts
			}
			o.HTTPClient = &http.Client{Transport: transport}
			s, err := httpsource.New("http://source.test/data.bin", &o)
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
	})
}
