//go:build unix

package tus_test

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// A process is suspended between two chunks. When it runs again, the response to the first is
// there before its store has reported that the lease is lost.
func TestLease_SuspendedProcessSendsNothingLater(t *testing.T) {
	t.Parallel() // mostly waits
	const lease = 5 * time.Second
	srv, dir, data := tustest.NewServer(t, nil), filepath.Join(t.TempDir(), "uploads"), randomBytes(processSize)
	var late atomic.Int64
	var running atomic.Bool
	suspended := make(chan struct{})
	started := make(chan *child, 1)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if r.Header.Get(processHeader) != "" && running.Load() {
			late.Add(1)
		}
		if r.Header.Get(processHeader) != "" && r.Header.Get("Upload-Offset") == "3000" {
			c := <-started
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Error(err)
			}
			time.Sleep(50 * time.Millisecond) // it takes effect
			defer close(suspended)
		}
		h.Serve(w, r)
	}})
	c := uploadingChild(t, srv, dir, leaseVariable+"="+lease.String())
	started <- c
	receive(t, suspended)
	time.Sleep(lease + 500*time.Millisecond)

	store, err := filestore.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.Stats.ResumedFrom != 4000 {
		t.Fatalf("result is %+v, %v", res, err)
	}
	running.Store(true)
	if err := c.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := c.wait(); err == nil || !strings.Contains(c.errors.String(), tus.ErrLeaseLost.Error()) {
		t.Errorf("the suspended process: %v: %s", err, &c.errors)
	}
	if n := late.Load(); n != 0 {
		t.Errorf("it sent %d chunks after its lease", n)
	}
	wantStored(t, srv.Handler, res.URL, data)
}
