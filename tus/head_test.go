package tus_test

import (
	"bytes"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
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
