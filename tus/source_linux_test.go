package tus_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// handles returns the number of open handles of a file in this process.
func handles(t *testing.T, path string) int {
	t.Helper()
	const fds = "/proc/self/fd"
	entries, err := os.ReadDir(fds)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(fds, e.Name())); err == nil && target == path {
			n++
		}
	}
	return n
}

// resolvedFile writes a file and returns its path without symbolic links.
func resolvedFile(t *testing.T, data []byte) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(tempFile(t, data))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFile_NoHandleBetweenSteps(t *testing.T) {
	for name, fault := range map[string]tustest.Fault{
		"creation": {Method: http.MethodPost, Action: tustest.Respond(http.StatusServiceUnavailable, "")},
		"bytes":    {Method: http.MethodPatch, Action: tustest.Respond(http.StatusServiceUnavailable, "")},
	} {
		for _, step := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				srv := tustest.NewServer(t, nil)
				srv.Inject(fault)
				path := resolvedFile(t, randomBytes(5000))
				store, err := filestore.Open(t.TempDir(), nil)
				if err != nil {
					t.Fatal(err)
				}
				opts := &tus.Options{Store: store, Retry: tus.RetryPolicy{MaxRetries: -1}}
				up, err := newClient(t, srv.Endpoint(), opts).NewUploader(tus.File(path), &tus.UploadOptions{ChunkSize: 1000})
				if err != nil {
					t.Fatal(err)
				}
				if !step {
					_, err := up.Run(context.Background())
					var failure *tus.Error
					if !errors.As(err, &failure) {
						t.Errorf("error is %v", err)
					}
				}
				for step && !up.State().Final() {
					up.Step(context.Background())
					if n := handles(t, path); n > 0 {
						t.Fatalf("%d handles are open in state %v", n, up.State())
					}
				}
				if n := handles(t, path); n > 0 {
					t.Errorf("%d handles are open", n)
				}
			})
		}
	}
}

// A program may call Stat for thousands of files before it uploads the first.
func TestFile_StatLeavesNoHandle(t *testing.T) {
	path, srv := resolvedFile(t, randomBytes(5000)), tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}})
	source := tus.File(path)
	if _, err := source.Stat(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := handles(t, path); n > 0 {
		t.Errorf("%d handles are open after Stat", n)
	}
	if _, err := client.PreviousUploads(context.Background(), source, nil); err != nil {
		t.Fatal(err)
	}
	if n := handles(t, path); n > 0 {
		t.Errorf("%d handles are open after PreviousUploads", n)
	}
}

func TestFile_NoHandleWhilePartsWait(t *testing.T) {
	path := resolvedFile(t, randomBytes(5000))
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: http.MethodPost, Times: -1, Action: tustest.Respond(503, "", "Retry-After", "60")})
		up, err := newClient(&tus.Options{Store: &storage.Memory{}}).
			NewUploader(tus.File(path), &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{2000}}})
		if err != nil {
			t.Fatal(err)
		}
		wait := run(t, up)
		synctest.Wait()
		if n := handles(t, path); n > 0 {
			t.Errorf("%d handles are open", n)
		}
		up.Pause()
		wantError(t, wait(), tus.ErrPaused)
	})
}

// Files in /proc have size 0 and data.
func TestFile_WithoutSizeIsInvalid(t *testing.T) {
	const path = "/proc/version"
	opened, err := os.Open(path)
	if err != nil {
		t.Skip(err)
	}
	defer opened.Close()
	for name, source := range map[string]tus.Source{
		"File":       tus.File(path),
		"OpenedFile": tus.OpenedFile(opened),
		"FSFile":     tus.FSFile(os.DirFS("/proc"), "version"),
	} {
		srv := tustest.NewServer(t, nil)
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, nil)
		if !errors.Is(err, tus.ErrInvalidInput) || len(srv.Requests()) > 0 {
			t.Errorf("%s: %v after %d requests", name, err, len(srv.Requests()))
		}
	}
	srv := tustest.NewServer(t, nil)
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(opened), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, want)
}
