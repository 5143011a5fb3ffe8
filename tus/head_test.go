package tus_test

import (
	"bytes"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// HEAD is served by a replica that lags behind. A stream cannot resume there.
func TestHead_StaleOffsetIsRequestedAgain(t *testing.T) {
	data := randomBytes(10_000)
	for _, times := range []int{1, 3} {
		for _, kind := range []string{"file", "stream", "sequential"} {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 6, Action: tustest.LoseResponse()},
				tustest.Fault{Method: "HEAD", Times: times, Action: tustest.SetHeader("Upload-Offset", "2000")})
			source := tus.Bytes(data)
			switch kind {
			case "stream":
				source = tus.Reader(bytes.NewReader(data))
			case "sequential":
				source = &forwardSource{Source: source}
			}
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, chunked())
			if err != nil {
				t.Errorf("%s, %d stale responses: %v", kind, times, err)
				continue
			}
			wantStored(t, srv.Handler, res.URL, data)
			if kind != "file" && res.Stats.Resent != 0 {
				t.Errorf("%s, %d stale responses: stats are %+v", kind, times, res.Stats)
			}
		}
	}
	// If the offset stays, the server has lost bytes.
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 6, Action: tustest.LoseResponse()},
		tustest.Fault{Method: "HEAD", Times: -1, Action: tustest.SetHeader("Upload-Offset", "2000")})
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
	wantError(t, err, tus.ErrNotRecoverable)
	if n := srv.Count("HEAD"); n != 4 {
		t.Errorf("%d HEAD", n)
	}
}

func TestHead_BypassesCaches(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	created, err := newClient(t, srv.Endpoint(), nil).Create(testContext(t), tus.CreateOptions{DeferLength: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newClient(t, srv.Endpoint(), nil).Info(testContext(t), created.URL); err != nil {
		t.Fatal(err)
	}
	if got := srv.Requests()[1].Header.Get("Cache-Control"); got != "no-cache, no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
}

func TestHead_WithoutLengthUsesSizeOfSource(t *testing.T) {
	silent := tustest.SetHeader("Upload-Length", "", "Upload-Defer-Length", "")
	for name, opts := range map[string]tus.UploadOptions{
		"chunks": {ChunkSize: 1000}, "larger chunks": {ChunkSize: 2000}, "parts": {Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 2000}, ChunkSize: 1000},
	} {
		srv, data, store, path := tustest.NewServer(t, nil), randomBytes(5000), &storage.Memory{}, tempFile(t, randomBytes(5000))
		srv.Inject(tustest.Fault{Method: "HEAD", Times: always, Action: silent},
			tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(100)}, tustest.Fault{Method: "PATCH", Skip: 1, Action: faults.RespondAfter(422, "")})
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()})
		if _, err := client.UploadFile(testContext(t), path, &opts); err == nil {
			t.Errorf("%s: the first session is not refused", name)
		}
		res, err := client.UploadFile(testContext(t), path, &opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		for _, r := range srv.Requests() {
			if r.Method == "PATCH" && r.Header.Get("Upload-Length") != "" {
				t.Errorf("%s: PATCH with Upload-Length", name)
			}
		}
	}
}
