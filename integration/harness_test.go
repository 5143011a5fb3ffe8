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

	"github.com/cenkalti/backoff/v4"
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

// testContext bounds a test that would otherwise hang.
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

// newFile writes a file that costs little to make and to store: noise that is
// different in every 64 KiB, and holes between. A chunk that is missing, doubled
// or in the wrong place changes its hash.
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

// part returns bytes of the file.
func (f file) part(t testing.TB, from, to int64) []byte {
	t.Helper()
	data, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	return data[from:to]
}

// patient is a policy that outlasts a server that is being started again, and
// wastes no time.
func patient() tus.RetryPolicy {
	return tus.RetryPolicy{
		MaxRetries: 500,
		NewBackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(20 * time.Millisecond) },
	}
}

// newClient makes a client that closes its connections at the end of the test.
func newClient(t testing.TB, endpoint string, options tus.Options) *tus.Client {
	t.Helper()
	if options.Retry.NewBackOff == nil {
		options.Retry = patient()
	}
	c, err := tus.NewClient(endpoint, &options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// disk is what a server stores; both kinds of tusd have it.
type disk interface {
	Size(uploadURL string) (int64, error)
	SHA256(uploadURL string) (string, error)
	Leftovers() ([]string, error)
}

// wantStored fails unless the server's disk has exactly the file.
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

// wantTidy fails if the server's disk has anything but complete uploads.
func wantTidy(t testing.TB, d disk) {
	t.Helper()
	left, err := d.Leftovers()
	if err != nil || len(left) > 0 {
		t.Errorf("server has unfinished things: %v (%v)", left, err)
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

// wantNothingTwice fails if the counts of a finished upload of f do not add up,
// or if bytes that the server had read were sent to it again.
func wantNothingTwice(t testing.TB, j *tusdtest.Journal, f file, s tus.Stats) {
	t.Helper()
	if s.Acknowledged != f.size || s.Sent != f.size+s.Resent {
		t.Errorf("of %d bytes, %d were acknowledged, %d sent, %d of them again", f.size, s.Acknowledged, s.Sent, s.Resent)
	}
	wantChain(t, j, f)
}

// wantChain fails unless each request carried on exactly where the server had
// come to in the one before: what was lost on a broken connection is all that
// may be sent again. A request of which the server read nothing was refused: the
// offset may have moved on after it was asked for, when a request that was
// believed dead came to life.
func wantChain(t testing.TB, j *tusdtest.Journal, f file) {
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

// tripwire is a [tus.Limiter] that lets everything pass and does something when
// that many bytes have passed: a place in the middle of a request.
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

// waitFor returns when c is closed.
func waitFor(t testing.TB, ctx context.Context, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-ctx.Done():
		t.Fatal("what the test waits for did not happen")
	}
}

// failures collects what a client retried.
type failures struct {
	mu   sync.Mutex
	errs []error
}

func (f *failures) hooks() tus.Hooks {
	return tus.Hooks{OnRetry: func(e tus.RetryEvent) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.errs = append(f.errs, e.Err)
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

// statuses returns the status of each failure that was answered.
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

// elsewhere talks plain HTTP to a tus server, as a program that is not ours.
type elsewhere struct {
	t    testing.TB
	http *http.Client
}

func newElsewhere(t testing.TB) elsewhere {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return elsewhere{t, &http.Client{Transport: transport}}
}

// send sends a request and returns the answer without its body. header is
// pairs of names and values.
func (e elsewhere) send(method, url string, body []byte, header ...string) *http.Response {
	e.t.Helper()
	req, err := http.NewRequestWithContext(testContext(e.t), method, url, bytes.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := e.http.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// create makes an upload and returns its URL.
func (e elsewhere) create(endpoint string, header ...string) string {
	e.t.Helper()
	resp := e.send(http.MethodPost, endpoint, nil, header...)
	if resp.StatusCode != http.StatusCreated {
		e.t.Fatalf("creation was answered with %s", resp.Status)
	}
	return resp.Header.Get("Location")
}

// patch appends data at offset and returns the status.
func (e elsewhere) patch(url, offset string, data []byte) int {
	e.t.Helper()
	return e.send(http.MethodPatch, url, data,
		"Upload-Offset", offset, "Content-Type", "application/offset+octet-stream").StatusCode
}
