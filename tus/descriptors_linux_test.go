package tus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

const (
	manyVariable = "TUS_TEST_MANY" // the process uploads all files of TUS_TEST_STORE at once to this endpoint
	manyFiles    = 1000
	manyLimit    = 256 // file descriptors
)

// uploadManyIfChild uploads the files if the process was started with manyVariable.
func uploadManyIfChild() {
	endpoint := os.Getenv(manyVariable)
	if endpoint == "" {
		return
	}
	if err := uploadMany(endpoint, os.Getenv(storeVariable)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func uploadMany(endpoint, dir string) error {
	limit := syscall.Rlimit{Cur: manyLimit, Max: manyLimit}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	client, err := tus.NewClient(endpoint, nil)
	if err != nil {
		return err
	}
	errs := make([]error, manyFiles)
	var uploads sync.WaitGroup
	for i := range errs {
		uploads.Go(func() { _, errs[i] = client.UploadFile(context.Background(), manyPath(dir, i), nil) })
	}
	uploads.Wait()
	return errors.Join(errs...)
}

func manyPath(dir string, i int) string { return filepath.Join(dir, fmt.Sprint(i)) }

// If there are more uploads at once than file descriptors, they wait for each other.
func TestEMFILE_ManyUploadsAtOnceAllComplete(t *testing.T) {
	t.Parallel()
	dir, data := t.TempDir(), randomBytes(16<<10)
	for i := range manyFiles {
		if err := os.WriteFile(manyPath(dir, i), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	srv := tustest.NewServer(t, nil)
	// The delay makes the requests overlap.
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.Delay(100 * time.Millisecond)})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), manyVariable+"="+srv.Endpoint(), storeVariable+"="+dir)
	c := startChild(t, cmd)
	if err := c.wait(); err != nil {
		t.Fatalf("%v: %.2000s", err, c.errors.String())
	}
	complete := 0
	for _, u := range srv.Uploads() {
		if u.Complete() {
			complete++
		}
	}
	if complete != manyFiles {
		t.Errorf("%d uploads are complete, want %d", complete, manyFiles)
	}
}

// blockedLimit blocks until the context ends.
type blockedLimit struct{}

func (blockedLimit) Burst() int { return 1 << 20 }
func (blockedLimit) WaitN(ctx context.Context, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

// A waiting upload has no file open, whatever it waits for.
func TestWait_HoldsNoFileOpen(t *testing.T) {
	path := resolvedFile(t, randomBytes(faultSize))
	for name, c := range map[string]struct {
		client tus.Options
		how    tus.UploadOptions
		server func(h *tustest.Handler)
		before func(t *testing.T, client *tus.Client) // starts another upload, which does not end
	}{
		"request slot": {
			client: tus.Options{MaxConnections: 1},
			server: func(h *tustest.Handler) { h.Inject(tustest.Fault{Method: "POST", Action: tustest.Delay(time.Hour)}) },
			before: func(t *testing.T, client *tus.Client) {
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					client.Upload(ctx, tus.Bytes(randomBytes(10)), nil)
				}()
				t.Cleanup(func() { cancel(); <-done })
				synctest.Wait()
			},
		},
		"retry": {
			client: tus.Options{Retry: tus.RetryPolicy{
				Delay: func(int) time.Duration { return time.Hour }, MaxRetryAfter: time.Hour}},
			server: func(h *tustest.Handler) {
				h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: faults.RespondAfter(503, "", "Retry-After", "3600")})
			},
			how: tus.UploadOptions{CreationLimit: -1},
		},
		"rate limit": {client: tus.Options{RateLimit: blockedLimit{}}},
		"lease":      {client: tus.Options{Store: &storage.Memory{}}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				if c.server != nil {
					c.server(h)
				}
				c.client.StallTimeout = -1
				client := newClient(&c.client)
				if c.before != nil {
					c.before(t, client)
				}
				if store := c.client.Store; store != nil {
					holdByAnother(t, client, store, path)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() {
					_, err := client.Upload(ctx, tus.File(path), &c.how)
					done <- err
				}()
				time.Sleep(time.Second / 2)
				synctest.Wait()
				if n := handles(t, path); n != 0 {
					t.Errorf("%d handles are open", n)
				}
				cancel()
				wantError(t, <-done, context.Canceled)
			})
		})
	}
}

// holdByAnother stores an upload of the file at path, leased by a process of another
// machine.
func holdByAnother(t *testing.T, client *tus.Client, store storage.Store, path string) {
	t.Helper()
	_, err := client.Upload(t.Context(), tus.File(path), &tus.UploadOptions{StopAt: 1000})
	wantError(t, err, tus.ErrPaused)
	hold(t, store, storage.Lease{Holder: "another", Process: foreignProcess, Until: time.Now().Add(30 * time.Second)})
}
