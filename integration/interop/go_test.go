package interop_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
)

// goInterruptions returns the ways in which the Go client interrupts an upload.
func goInterruptions() []interruption {
	return []interruption{
		{"in chunks", false, func(t *testing.T, s *heldServer, file string) string {
			result, err := newClient(t, s.Endpoint()).UploadFile(testContext(t), file, &tus.UploadOptions{
				Metadata: metadata(), ChunkSize: 2 * mib, StopAt: 6 * mib,
			})
			wantError(t, err, tus.ErrPaused)
			return result.URL
		}},
		{"cut in a request", false, func(t *testing.T, s *heldServer, file string) string {
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			defer context.AfterFunc(s.reached, cancel)()
			result, err := newClient(t, s.Endpoint()).UploadFile(ctx, file, &tus.UploadOptions{Metadata: metadata()})
			wantError(t, err, context.Canceled)
			return result.URL
		}},
		{"of unknown size", true, func(t *testing.T, s *heldServer, file string) string {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			stream := struct{ io.Reader }{f} // hides the file
			result, err := newClient(t, s.Endpoint()).Upload(testContext(t), tus.Reader(stream), &tus.UploadOptions{
				Metadata: metadata(), ChunkSize: 2 * mib, StopAt: 6 * mib,
			})
			wantError(t, err, tus.ErrPaused)
			return result.URL
		}},
	}
}

// goFinish resumes an upload and completes it.
func goFinish(t *testing.T, url, file string, _ bool) {
	t.Helper()
	result, err := newClient(t, url).Resume(testContext(t), url, tus.File(file), &tus.UploadOptions{ChunkSize: 5 * mib})
	if err != nil {
		t.Fatal(err)
	}
	if s := result.Stats; s.ResumedFrom+s.Sent != size || s.Resent != 0 || s.Retries != 0 {
		t.Errorf("stats are %+v", s)
	}
}

func newClient(t *testing.T, endpoint string) *tus.Client {
	t.Helper()
	client, err := tus.NewClient(endpoint, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}
