package tus_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// handles counts how often this process has a file open.
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

func TestNoHandleOfAFileIsOpenWhileNothingHappens(t *testing.T) {
	for name, fault := range map[string]tustest.Fault{
		"creation": {Method: http.MethodPost, Action: tustest.Respond(http.StatusServiceUnavailable, "")},
		"bytes":    {Method: http.MethodPatch, Action: tustest.Respond(http.StatusServiceUnavailable, "")},
	} {
		for _, step := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				srv := tustest.NewServer(t, nil)
				srv.Inject(fault)
				path, _ := filepath.EvalSymlinks(t.TempDir())
				path = filepath.Join(path, "file.bin")
				if err := os.WriteFile(path, randomBytes(5000), 0o600); err != nil {
					t.Fatal(err)
				}
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
