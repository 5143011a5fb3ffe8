package tus_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// wantProgress fails unless reports are a valid sequence from one offset to the end.
func wantProgress(t *testing.T, reports []tus.Progress, from, total int64) {
	t.Helper()
	if len(reports) == 0 {
		t.Fatal("no progress was reported")
	}
	var last int64
	for i, p := range reports {
		if p.Acknowledged < last {
			t.Errorf("report %d: acknowledged bytes fell from %d to %d", i, last, p.Acknowledged)
		}
		if p.InFlight < 0 || p.Acknowledged+p.InFlight > total {
			t.Errorf("report %d: %d bytes in flight, %d acknowledged", i, p.InFlight, p.Acknowledged)
		}
		if p.Size != total || p.SizeUnknown {
			t.Errorf("report %d: size is %d (unknown: %v)", i, p.Size, p.SizeUnknown)
		}
		last = p.Acknowledged
	}
	if first := reports[0]; first.Acknowledged != from {
		t.Errorf("first report is %+v, want %d bytes acknowledged", first, from)
	}
	if end := reports[len(reports)-1]; end.Acknowledged != total || end.InFlight != 0 {
		t.Errorf("last report is %+v", end)
	}
}

func TestProgress_WithFaults(t *testing.T) {
	lose := func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Truncate(r.URL.Path, 100)
		h.Serve(w, r)
	}
	for name, faults := range map[string][]tustest.Fault{
		"no fault":          nil,
		"cut":               {{Method: "PATCH", Skip: 1, Times: 2, Action: tustest.CutAfter(70_000)}},
		"response lost":     {{Method: "PATCH", Skip: 1, Action: tustest.LoseResponse()}},
		"short write":       {{Method: "PATCH", Times: 2, Action: faults.AcceptOnly(1234)}},
		"bytes lost":        {{Method: "PATCH", Skip: 2, Action: lose}},
		"upload forgotten":  {{Method: "PATCH", Skip: 2, Action: vanishWith(404)}},
		"forgotten at HEAD": {{Method: "PATCH", Skip: 2, Action: tustest.CutBefore()}, {Method: "HEAD", Action: goneWith(404)}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(faults...)
			var seen recorder
			data := randomBytes(1_000_000)
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Hooks: seen.hooks()}).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 150_000})
			if err != nil {
				t.Fatal(err)
			}
			wantProgress(t, seen.reports, 0, 1_000_000)
		})
	}
}

func TestProgress_ResumeIncludesAcknowledgedBytes(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(1_000_000)
	var first, second recorder
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Hooks: first.hooks()}).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{StopAt: 400_000})
	wantError(t, err, tus.ErrPaused)
	if end := first.reports[len(first.reports)-1]; end.Acknowledged != 400_000 || end.InFlight != 0 {
		t.Errorf("last report before the stop is %+v", end)
	}
	if _, err := newClient(t, srv.Endpoint(), &tus.Options{Hooks: second.hooks()}).Resume(testContext(t), res.URL, tus.Bytes(data), nil); err != nil {
		t.Fatal(err)
	}
	wantProgress(t, second.reports, 400_000, 1_000_000)
}

func TestProgress_IsReportedWhileBytesMove(t *testing.T) {
	// The PATCH takes ten seconds, in which only bytes in flight show progress.
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			r.Body = pacedBody{r.Body}
			h.Serve(w, r)
		}})
		var seen recorder
		hooks := seen.hooks()
		var times []time.Time
		record := hooks.OnProgress
		hooks.OnProgress = func(u *tus.Uploader, p tus.Progress) {
			record(u, p)
			seen.add(func() { times = append(times, time.Now()) })
		}
		if _, err := newClient(&tus.Options{Hooks: hooks}).Upload(t.Context(), tus.Bytes(randomBytes(32_000_000)), &tus.UploadOptions{ChunkSize: 32_000_000}); err != nil {
			t.Fatal(err)
		}
		wantProgress(t, seen.reports, 0, 32_000_000)
		moving := 0
		for i, p := range seen.reports {
			if p.InFlight > 0 {
				moving++
				if i > 1 && times[i].Sub(times[i-1]) < 100*time.Millisecond && seen.reports[i-1].InFlight > 0 {
					t.Errorf("reports %v apart", times[i].Sub(times[i-1]))
				}
			}
		}
		if moving < 80 || moving > 110 {
			t.Errorf("%d reports in ten seconds, want about a hundred", moving)
		}
	})
}

// pacedBody reads 32 KB every ten milliseconds.
type pacedBody struct{ io.ReadCloser }

func (b pacedBody) Read(p []byte) (int, error) {
	<-time.After(10 * time.Millisecond)
	return io.ReadFull(b.ReadCloser, p[:min(len(p), 32_000)])
}
