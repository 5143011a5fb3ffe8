package tus_test

import (
	"context"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// unequal splits 4200 bytes into parts of 900, 1000, 1100 and 1200, so that tests can
// identify them by length, in chunks of 250.
func unequal() *tus.UploadOptions {
	return &tus.UploadOptions{Parallel: 4, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{900, 1900, 3000}}, ChunkSize: 250}
}

const unequalSize = 4200

// partStart maps the length of a part of unequal to its offset in the source.
var partStart = map[int64]int64{900: 0, 1000: 900, 1100: 1900, 1200: 3000}

// onPart handles one request for the part of a length by action, after skip others, and
// serves all other requests without faults.
func onPart(length int64, skip int, action tustest.Action) tustest.Action {
	var seen atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		u, _ := h.Upload(r.URL.Path)
		if u.Concat != "partial" || u.Length != length || seen.Add(1) != int64(skip)+1 {
			h.Serve(w, r)
			return
		}
		action(w, r, h)
	}
}

// retryOften retries often with short delays. A server may notice a cut connection late,
// and respond with 423 until then.
func retryOften() tus.RetryPolicy {
	return tus.RetryPolicy{MaxRetries: 1000, Delay: func(int) time.Duration { return time.Millisecond }}
}

// wantRisingProgress fails unless acknowledged bytes never fall and end at size.
func wantRisingProgress(t *testing.T, reports []tus.Progress, size int64) {
	t.Helper()
	var last tus.Progress
	for _, p := range reports {
		if p.Acknowledged < last.Acknowledged || p.InFlight < 0 || p.Acknowledged+p.InFlight > size || p.Size != size || p.SizeUnknown {
			t.Fatalf("progress %+v follows %+v", p, last)
		}
		last = p
	}
	if last.Acknowledged != size {
		t.Errorf("progress ends at %+v, want %d", last, size)
	}
}

// appending appends n bytes to a part of unequal before it serves the request.
func appending(data []byte, n int64) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		u, _ := h.Upload(r.URL.Path)
		at := partStart[u.Length] + int64(len(u.Data))
		faults.Append(h, r.URL.Path, data[at:at+n])
		h.Serve(w, r)
	}
}

// goneWithBytes is vanishWith(404) for a part that has bytes. A part that is gone twice
// without bytes ends the upload.
func goneWithBytes(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	if r.Header.Get("Upload-Offset") == "0" {
		h.Serve(w, r)
		return
	}
	vanishWith(404)(w, r, h)
}

func TestParallel_FileIsReadConcurrently(t *testing.T) {
	data := randomBytes(3 << 20)
	path := tempFile(t, data)
	for kind, srv := range concatServers(t) {
		srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Times: 3, Action: tustest.CutAfter(100_000)})
		client := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()})
		res, err := client.UploadFile(testContext(t), path, &tus.UploadOptions{Parallel: 4, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}, ChunkSize: 200_000})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
	}
}

func TestParallel_Checksums(t *testing.T) {
	data := randomBytes(unequalSize)
	path := tempFile(t, data)
	for _, source := range []tus.Source{tus.Bytes(data), tus.File(path), tus.FSFile(mapFS("file", data), "file")} {
		for _, extensions := range [][]string{nil, tustest.Without("checksum-trailer"), tustest.Without("checksum-trailer", "concatenation-unfinished")} {
			srv := tustest.NewServer(t, &tustest.Options{Extensions: extensions})
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Times: 2, Action: faults.RespondAfter(460, "")})
			client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()})
			res, err := client.Upload(testContext(t), source, unequal())
			if err != nil {
				t.Fatal(err)
			}
			wantOneFinal(t, srv.Handler, res.URL, data)
			if res.Checksum == "" {
				t.Error("result names no checksum")
			}
			for _, r := range srv.Requests() {
				if r.Method == "PATCH" && r.Header.Get("Upload-Checksum") == "" && extensions != nil {
					t.Errorf("PATCH without checksum: %v", r.Header)
				}
			}
		}
	}
}

func TestPart_NeverSharesUploadURL(t *testing.T) {
	// A proxy may respond to one request with the response to another.
	data := randomBytes(4000)
	for kind, srv := range concatServers(t) {
		srv.Inject(tustest.Fault{Method: "POST", Skip: 2, Times: -1, Action: tustest.SetHeader("Location", "/files/00000001")})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), inParts(4))
		wantError(t, err, tus.ErrProtocol)
		if tus.IsRetryable(err) || len(finals(srv.Handler)) != 0 || res.URL != "" {
			t.Errorf("%s: error is %v, URL %q", kind, err, res.URL)
		}
	}
	for kind, srv := range concatServers(t) { // only once
		srv.Inject(tustest.Fault{Method: "POST", Skip: 2, Action: tustest.SetHeader("Location", "/files/00000001")})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), inParts(4))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if n := len(partials(srv.Handler)); n != 5 || res.Stats.Retries != 1 {
			t.Errorf("%s: %d parts were created, with %d retries", kind, n, res.Stats.Retries)
		}
	}
	srv := finalLast(t)
	onFinal(srv, tustest.SetHeader("Location", "/files/00000001"))
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), inParts(4))
	wantError(t, err, tus.ErrProtocol)

	// A record with the same URL for two parts is not used.
	srv, store := finalLast(t), &storage.Memory{}
	canceledAt(t, srv, &tus.Options{Store: store}, data, inParts(4), tustest.Fault{Method: "PATCH", Skip: 2})
	for rec, err := range store.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		rec.Parts[2].UploadURL, rec.Seal = rec.Parts[0].UploadURL, ""
		if _, err := store.Put(context.Background(), rec); err != nil {
			t.Fatal(err)
		}
	}
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), inParts(4))
	if err != nil {
		t.Fatal(err)
	}
	wantOneFinal(t, srv.Handler, res.URL, data)
}

func TestParallel_States(t *testing.T) {
	const path = "creating ready sending ready concatenating ready finishing complete"
	for kind, srv := range concatServers(t) {
		var seen recorder
		opts := inParts(2)
		opts.Hooks = seen.hooks()
		u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(randomBytes(2000)), opts)
		if err != nil {
			t.Fatal(err)
		}
		for u.State() != tus.StateComplete {
			if err := u.Step(testContext(t)); err != nil {
				t.Fatal(err)
			}
		}
		if seen.path() != path {
			t.Errorf("%s: states were %s", kind, seen.path())
		}
		if u.Offset() != 2000 {
			t.Errorf("%s: offset is %d", kind, u.Offset())
		}
	}
}

func TestParallel_StatsMatchServer(t *testing.T) {
	tests := map[string]struct {
		action tustest.Action
		want   tus.Stats
	}{
		"no fault":      {nil, tus.Stats{Sent: unequalSize}},
		"500":           {faults.RespondAfter(500, ""), tus.Stats{Sent: unequalSize + 250, Resent: 250, Retries: 1, Requests: map[string]int{"HEAD": 1}}},
		"response lost": {tustest.LoseResponse(), tus.Stats{Sent: unequalSize, Retries: 1, Requests: map[string]int{"HEAD": 1}}},
		"404":           {vanishWith(404), tus.Stats{Sent: unequalSize + 750, Resent: 750, Retries: 1, Restarts: 1, Requests: map[string]int{"HEAD": 1}}},
		"short write":   {faults.AcceptOnly(100), tus.Stats{Sent: unequalSize + 150, Resent: 150}},
	}
	for name, test := range tests {
		for kind, srv := range concatServers(t) {
			if test.action != nil {
				srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: onPart(1100, 2, test.action)})
			}
			u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(randomBytes(unequalSize)), unequal())
			if err != nil {
				t.Fatal(err)
			}
			res, err := u.Run(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			s := res.Stats
			for ctx := testContext(t); bytesReceived(srv) < s.Sent && ctx.Err() == nil; {
				runtime.Gosched() // a cut request may be logged late
			}
			if s.Sent != bytesReceived(srv) {
				t.Errorf("%s/%s: %d bytes were sent, %d received", name, kind, s.Sent, bytesReceived(srv))
			}
			for _, method := range []string{"OPTIONS", "POST", "PATCH", "HEAD", "DELETE"} {
				if s.Requests[method] != srv.Count(method) {
					t.Errorf("%s/%s: %d %s requests counted, %d received", name, kind, s.Requests[method], method, srv.Count(method))
				}
			}
			if requestsOf(s) != len(srv.Requests()) || s.Uploaded != unequalSize || s.ResumedFrom != 0 || s.Elapsed <= 0 {
				t.Errorf("%s/%s: stats are %+v", name, kind, s)
			}
			if s.Sent != test.want.Sent || s.Resent != test.want.Resent || s.Retries != test.want.Retries ||
				s.Requests["HEAD"] != test.want.Requests["HEAD"] || s.Restarts != test.want.Restarts {
				t.Errorf("%s/%s: stats are %+v, want %+v", name, kind, s, test.want)
			}
			if res.Creation.StatusCode != 201 || res.LastPatch.StatusCode != 204 {
				t.Errorf("%s/%s: responses in the result are %v and %v", name, kind, res.Creation, res.LastPatch)
			}
		}
	}
}
