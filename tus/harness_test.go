package tus_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestMain(m *testing.M) {
	waitIfChild()
	goleak.VerifyTestMain(m)
}

// randomBytes returns reproducible random data. A chunk in the wrong place makes it differ.
func randomBytes(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

// retryAtOnce retries without waiting.
func retryAtOnce() tus.RetryPolicy {
	return tus.RetryPolicy{Delay: func(int) time.Duration { return 0 }}
}

// withCreationUpload returns the capabilities of a server with creation-with-upload.
func withCreationUpload() *tus.Capabilities {
	return &tus.Capabilities{Extensions: []string{"creation-with-upload"}}
}

// newClient returns a client that retries without waiting and has no checksum algorithms,
// unless opts set them. Its connections are closed at the end of the test.
func newClient(t testing.TB, endpoint string, opts *tus.Options) *tus.Client {
	t.Helper()
	var o tus.Options
	if opts != nil {
		o = *opts
	}
	if o.Retry.Delay == nil {
		o.Retry.Delay = retryAtOnce().Delay
	}
	if o.Checksums == nil {
		o.Checksums = []checksum.Algorithm{}
	}
	c, err := tus.NewClient(endpoint, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// prepare returns an Uploader of a source, for the upload at url or, if that is empty, for
// a new one.
func prepare(c *tus.Client, url string, source tus.Source, opts *tus.UploadOptions) (*tus.Uploader, error) {
	if url == "" {
		return c.NewUploader(source, opts)
	}
	return c.NewResumer(url, source, opts)
}

// testContext returns a context that ends a test that hangs.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// wantStored fails unless the server holds exactly data as a complete upload.
func wantStored(t testing.TB, h *tustest.Handler, url string, data []byte) {
	t.Helper()
	up, ok := h.Upload(url)
	switch {
	case !ok:
		t.Fatalf("server has no upload %q", url)
	case !up.Complete():
		t.Fatalf("upload has %d bytes of %d and is not complete", len(up.Data), up.Length)
	case sha256.Sum256(up.Data) != sha256.Sum256(data):
		t.Fatalf("server holds %d bytes that differ from the %d of the source", len(up.Data), len(data))
	}
}

// tempFile writes a temporary file.
func tempFile(t testing.TB, data []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mapFS returns a file system with one file.
func mapFS(name string, data []byte) fstest.MapFS {
	return fstest.MapFS{name: {Data: data, ModTime: time.Unix(1e9, 0)}}
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want one that matches %q", err, want)
	}
}

// statusOf returns the status of the response in an error, or 0.
func statusOf(err error) int {
	var e *tus.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.StatusCode
}

// resumePaused runs an upload that is paused, and runs it again until it is complete.
func resumePaused(t *testing.T, u *tus.Uploader) *tus.Result {
	t.Helper()
	_, err := u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	res, err := u.Run(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func isHeld(err error) bool { return errors.As(err, new(*tus.HeldError)) }

// requestsOf returns the number of requests with any method.
func requestsOf(s tus.Stats) (total int) {
	for _, n := range s.Requests {
		total += n
	}
	return total
}

// bytesReceived returns the number of body bytes that a server read from all requests.
func bytesReceived(server interface{ Requests() []tustest.Request }) (n int64) {
	for _, r := range server.Requests() {
		n += r.Body
	}
	return n
}

// gauge counts concurrent requests.
type gauge struct {
	mu         sync.Mutex
	open, most int
}

// serve counts a request and handles it without faults.
func (g *gauge) serve(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	g.add(1)
	defer g.add(-1)
	h.Serve(w, r)
}

func (g *gauge) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open += n
	g.most = max(g.most, g.open)
}

// wantMethods fails unless the server saw exactly these methods in this order.
func wantMethods(t testing.TB, h *tustest.Handler, want ...string) {
	t.Helper()
	var got []string
	for _, r := range h.Requests() {
		got = append(got, r.Method)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("requests were %v, want %v", got, want)
	}
}

// recorder collects the arguments of hooks.
type recorder struct {
	mu      sync.Mutex
	retries []tus.Retry
	states  []string
	reports []tus.Progress
	urls    []string
}

func (r *recorder) hooks() tus.Hooks {
	return tus.Hooks{
		OnRetry: func(_ *tus.Uploader, retry tus.Retry) { r.add(func() { r.retries = append(r.retries, retry) }) },
		OnStateChange: func(_ *tus.Uploader, _, to tus.State, _ error) {
			r.add(func() { r.states = append(r.states, to.String()) })
		},
		OnProgress: func(_ *tus.Uploader, p tus.Progress) { r.add(func() { r.reports = append(r.reports, p) }) },
		OnCreated:  func(_ *tus.Uploader, c *tus.Created) { r.add(func() { r.urls = append(r.urls, c.URL) }) },
	}
}

func (r *recorder) add(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *recorder) path() string { return strings.Join(r.states, " ") }

// goneWith responds as a tus server without the upload. Without Tus-Resumable, it would be
// the response of a proxy.
func goneWith(status int) tustest.Action {
	return faults.RespondAfter(status, "", "Tus-Resumable", "1.0.0")
}

// vanishWith is goneWith for an upload that no later request finds.
func vanishWith(status int) tustest.Action {
	respond := goneWith(status)
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Forget(r.URL.Path)
		respond(w, r, h)
	}
}

// chunked returns options for an upload in chunks of 1000 bytes. A source of more than one
// chunk is sent without OPTIONS.
func chunked() *tus.UploadOptions { return &tus.UploadOptions{ChunkSize: 1000} }

// whole returns options for an upload of one POST and one PATCH.
func whole() *tus.UploadOptions {
	return &tus.UploadOptions{CreationLimit: -1}
}

// hookedSource is a source with functions that run in its calls. Each may be nil; an error
// takes the place of the call.
type hookedSource struct {
	tus.Source
	beforeStat func() error
	beforeOpen func(ctx context.Context) error
	changeInfo func(*tus.SourceInfo)
}

func (s *hookedSource) Stat(ctx context.Context) (tus.SourceInfo, error) {
	if s.beforeStat != nil {
		if err := s.beforeStat(); err != nil {
			return tus.SourceInfo{}, err
		}
	}
	info, err := s.Source.Stat(ctx)
	if s.changeInfo != nil {
		s.changeInfo(&info)
	}
	return info, err
}

func (s *hookedSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if s.beforeOpen != nil {
		if err := s.beforeOpen(ctx); err != nil {
			return nil, err
		}
	}
	return s.Source.Open(ctx, offset)
}
