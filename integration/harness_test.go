package integration_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/integration/crash"
	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus"
)

func TestMain(m *testing.M) {
	child.Main(append(tusdtest.Roles(), crash.Role())...)
	goleak.VerifyTestMain(m)
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// testContext returns a context that ends a hanging test after a minute.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// file is a source on disk.
type file struct {
	path string
	size int64
	hash string
}

// newFile writes a sparse file with 4 KiB of different noise in every 64 KiB. A
// chunk that is missing, doubled or misplaced changes its hash.
func newFile(t testing.TB, size int64) file {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "source.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	noise := rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)})
	block := make([]byte, 4*kib)
	for at := int64(0); at < size; at += 64 * kib {
		noise.Read(block)
		if _, err := f.WriteAt(block[:min(int64(len(block)), size-at)], at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	hash, err := tusdtest.HashFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return file{f.Name(), size, hash}
}

// part returns the bytes from offset from up to offset to.
func (f file) part(t testing.TB, from, to int64) []byte {
	t.Helper()
	data, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	return data[from:to]
}

// fastRetries is a policy with short delays and enough retries for a server that
// is restarting.
func fastRetries() tus.RetryPolicy {
	return tus.RetryPolicy{
		MaxRetries: 500,
		Delay:      func(int) time.Duration { return 20 * time.Millisecond },
	}
}

// newClient returns a client whose connections are closed at the end of the test.
func newClient(t testing.TB, endpoint string, options tus.Options) *tus.Client {
	t.Helper()
	if options.Retry.Delay == nil {
		options.Retry = fastRetries()
	}
	c, err := tus.NewClient(endpoint, &options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// disk reads the files of a server; both kinds of tusd implement it.
type disk interface {
	Size(uploadURL string) (int64, error)
	SHA256(uploadURL string) (string, error)
	Leftovers() ([]string, error)
}

// wantStored fails unless the server stored exactly f.
func wantStored(t testing.TB, d disk, uploadURL string, f file) {
	t.Helper()
	size, err := d.Size(uploadURL)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := d.SHA256(uploadURL)
	if err != nil {
		t.Fatal(err)
	}
	if size != f.size || hash != f.hash {
		t.Fatalf("server has %d bytes with hash %s, source has %d with %s", size, hash, f.size, f.hash)
	}
}

// wantNoLeftovers fails if the server's disk has anything but complete uploads.
func wantNoLeftovers(t testing.TB, d disk) {
	t.Helper()
	left, err := d.Leftovers()
	if err != nil || len(left) > 0 {
		t.Errorf("server has leftovers: %v (%v)", left, err)
	}
}

func wantSize(t testing.TB, d disk, uploadURL string, want int64) {
	t.Helper()
	if size, err := d.Size(uploadURL); err != nil || size != want {
		t.Fatalf("server has %d bytes, want %d (%v)", size, want, err)
	}
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want one that matches %q", err, want)
	}
}

func wantMethods(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("requests were %v, want %v", got, want)
	}
}

// wantNothingResent fails if the stats of a finished upload of f do not add up, or
// if bytes that the server had read were resent.
func wantNothingResent(t testing.TB, j *tusdtest.Journal, f file, s tus.Stats) {
	t.Helper()
	if s.Uploaded != f.size || s.Sent != f.size+s.Resent {
		t.Errorf("of %d bytes, %d were acknowledged, %d sent, %d of them resent", f.size, s.Uploaded, s.Sent, s.Resent)
	}
	wantContiguousPatches(t, j, f)
}

// wantContiguousPatches fails unless each PATCH starts at the offset that the server reached in
// the request before it: only bytes lost on a broken connection may be resent. A
// PATCH of which the server read nothing is exempt, because it was refused: a
// request that the client gave up may still move the offset after the HEAD.
func wantContiguousPatches(t testing.TB, j *tusdtest.Journal, f file) {
	t.Helper()
	var at int64
	for _, r := range j.Requests() {
		if r.Method == http.MethodPatch && r.Received > 0 && r.Offset() != at {
			t.Errorf("PATCH at %d, when the server had %d bytes", r.Offset(), at)
		}
		at += r.Received
	}
	if at != f.size {
		t.Errorf("server read %d bytes for a file of %d", at, f.size)
	}
}

// tripwire is a [tus.Limiter] without a limit that calls do once when at bytes
// have passed, in the middle of a request.
type tripwire struct {
	at     int64
	do     func()
	passed atomic.Int64
	once   sync.Once
}

func (w *tripwire) Burst() int { return 64 * kib }

func (w *tripwire) WaitN(ctx context.Context, n int) error {
	if w.passed.Add(int64(n))-int64(n) >= w.at {
		w.once.Do(w.do)
	}
	return ctx.Err()
}

// waitFor returns when c is closed, and fails if ctx ends first.
func waitFor(t testing.TB, ctx context.Context, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-ctx.Done():
		t.Fatal("timeout while waiting for a channel to close")
	}
}

// failures collects the errors that a client retried.
type failures struct {
	mu   sync.Mutex
	errs []error
}

func (f *failures) hooks() tus.Hooks {
	return tus.Hooks{OnRetry: func(_ *tus.Uploader, r tus.Retry) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.errs = append(f.errs, r.Err)
	}}
}

func (f *failures) all() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.errs)
}

func (f *failures) has(target error) bool {
	return slices.ContainsFunc(f.all(), func(err error) bool { return errors.Is(err, target) })
}

// statuses returns the status of each failure that had a response.
func (f *failures) statuses() []int {
	var codes []int
	for _, err := range f.all() {
		var e *tus.Error
		if errors.As(err, &e) && e.StatusCode != 0 {
			codes = append(codes, e.StatusCode)
		}
	}
	return codes
}

// rawClient sends plain HTTP requests to a tus server, without package tus.
type rawClient struct {
	t    testing.TB
	http *http.Client
}

func newRawClient(t testing.TB) rawClient {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return rawClient{t, &http.Client{Transport: transport}}
}

// send sends a request and returns the response without its body. header
// alternates names and values.
func (c rawClient) send(method, url string, body []byte, header ...string) *http.Response {
	c.t.Helper()
	req, err := http.NewRequestWithContext(testContext(c.t), method, url, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// create creates an upload and returns its URL.
func (c rawClient) create(endpoint string, header ...string) string {
	c.t.Helper()
	resp := c.send(http.MethodPost, endpoint, nil, header...)
	if resp.StatusCode != http.StatusCreated {
		c.t.Fatalf("creation: status %s", resp.Status)
	}
	return resp.Header.Get("Location")
}

// patch appends data at offset and returns the status.
func (c rawClient) patch(url, offset string, data []byte) int {
	c.t.Helper()
	return c.send(http.MethodPatch, url, data,
		"Upload-Offset", offset, "Content-Type", "application/offset+octet-stream").StatusCode
}
