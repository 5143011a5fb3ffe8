package tus_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
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

func TestPart_FaultEndsInExactBytes(t *testing.T) {
	data := randomBytes(unequalSize)
	tests := map[string]struct {
		action   tustest.Action
		resent   int64 // at most
		restarts int
	}{
		"cut before the body":  {tustest.CutBefore(), 250, 0},
		"cut in the body":      {tustest.CutAfter(100), 250, 0},
		"response lost":        {tustest.LoseResponse(), 0, 0},
		"short write":          {faults.AcceptOnly(100), 150, 0},
		"nothing stored":       {faults.AcceptOnly(0), 250, 0},
		"500":                  {faults.RespondAfter(500, "<html>oops</html>"), 250, 0},
		"500 after storing":    {faults.SetStatus(500), 0, 0},
		"502":                  {tustest.Respond(502, ""), 250, 0},
		"503":                  {faults.RespondAfter(503, ""), 250, 0},
		"429":                  {tustest.Respond(429, ""), 250, 0},
		"409":                  {tustest.Respond(409, "busy"), 250, 0},
		"423":                  {tustest.Respond(423, "locked"), 250, 0},
		"interrupted":          {tustest.Respond(400, "ERR_UPLOAD_INTERRUPTED"), 250, 0},
		"404":                  {goneWith(404), 750, 1},
		"410":                  {goneWith(410), 750, 1},
		"404 of a proxy":       {tustest.Respond(404, ""), 250, 0},
		"410 of a proxy":       {tustest.Respond(410, ""), 250, 0},
		"server lost a chunk":  {faults.Rewind(250), 500, 0},
		"server lost the part": {faults.Rewind(0), 750, 0},
		"server is ahead":      {appending(data, 30), 280, 0},
		"part deleted":         {faults.Vanish(), 750, 1},
	}
	for name, test := range tests {
		for kind, srv := range concatServers(t) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: onPart(1100, 2, test.action)})
				var seen recorder
				opts := unequal()
				opts.Hooks = seen.hooks()
				res, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), opts)
				if err != nil {
					t.Fatal(err)
				}
				wantOneFinal(t, srv.Handler, res.URL, data)
				wantRisingProgress(t, seen.reports, unequalSize)
				s := res.Stats
				if s.Resent > test.resent || s.Restarts != test.restarts {
					t.Errorf("stats are %+v, want at most %d bytes resent", s, test.resent)
				}
				if name != "server is ahead" && s.Sent-s.Resent != unequalSize {
					t.Errorf("%d bytes were sent, %d of them resent", s.Sent, s.Resent)
				}
			})
		}
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

// goneWithBytes is goneWith(404) for a part that has bytes. A part that is gone twice
// without bytes ends the upload.
func goneWithBytes(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	if r.Header.Get("Upload-Offset") == "0" {
		h.Serve(w, r)
		return
	}
	goneWith(404)(w, r, h)
}

func TestPart_SeveralRecoverAtTheSameTime(t *testing.T) {
	// One after the other, for any part.
	actions := []tustest.Action{
		tustest.CutAfter(7), tustest.LoseResponse(), goneWithBytes, faults.AcceptOnly(99),
		faults.Rewind(0), faults.RespondAfter(503, ""), tustest.CutBefore(), faults.SetStatus(500),
	}
	for kind, srv := range concatServers(t) {
		var n atomic.Int64
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if i := n.Add(1); i%3 != 0 && int(i) < 4*len(actions) {
				actions[int(i)%len(actions)](w, r, h)
				return
			}
			h.Serve(w, r)
		}})
		srv.Inject(tustest.Fault{Method: "HEAD", Times: 3, Skip: 2, Action: tustest.CutBefore()})
		data := randomBytes(20_000)
		var seen recorder
		opts := inParts(5)
		opts.ChunkSize, opts.Hooks = 333, seen.hooks()
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		wantRisingProgress(t, seen.reports, 20_000)
	}
}

func TestPart_StallIsCutAndResumed(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(
			tustest.Fault{Method: "PATCH", Skip: 3, Action: faults.StallAfter(100)},
			tustest.Fault{Method: "PATCH", Skip: 5, Action: tustest.Stall()})
		data := randomBytes(unequalSize)
		res, err := newClient(&tus.Options{ResponseTimeout: 30 * time.Second}).Upload(t.Context(), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, h, res.URL, data)
		if res.Stats.Retries < 2 || res.Stats.Elapsed > 2*time.Minute {
			t.Errorf("stats are %+v", res.Stats)
		}
	})
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

func TestPartsWithChecksums(t *testing.T) {
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

func TestPart_FailureStopsOthersAndIsReturned(t *testing.T) {
	tests := map[string]struct {
		faulty, stalled string
		action          tustest.Action
		want            error
	}{
		"403":                       {"PATCH", "PATCH", tustest.Respond(403, "not yours"), tus.ErrUnauthorized},
		"403 on creation":           {"POST", "POST", tustest.Respond(403, "not yours"), tus.ErrUnauthorized},
		"no Location":               {"POST", "POST", tustest.SetHeader("Location", ""), tus.ErrProtocol},
		"garbage offset":            {"PATCH", "PATCH", tustest.SetHeader("Upload-Offset", "lots"), tus.ErrProtocol},
		"negative offset":           {"PATCH", "PATCH", tustest.SetHeader("Upload-Offset", "-1"), tus.ErrProtocol},
		"offset beyond":             {"PATCH", "PATCH", tustest.SetHeader("Upload-Offset", "251"), tus.ErrProtocol},
		"version":                   {"PATCH", "PATCH", tustest.Respond(412, ""), tus.ErrUnsupported},
		"redirect without Location": {"PATCH", "PATCH", tustest.Respond(307, ""), tus.ErrProtocol},
	}
	for name, test := range tests {
		for kind, srv := range concatServers(t) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				// The other parts hang until their connection ends: a client that waits for
				// them never returns.
				stalled, skip := newRequestBarrier(3), 0
				if test.faulty == "POST" {
					skip = 1 // the first part is created before the others
				}
				srv.Inject(tustest.Fault{Method: test.stalled, Skip: skip, Times: 2, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
					go stalled.wait(r.Context())
					tustest.Stall()(w, r, h)
				}})
				srv.Inject(tustest.Fault{Method: test.faulty, Skip: skip, Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
					stalled.wait(r.Context())
					test.action(w, r, h)
				}})
				opts := &tus.UploadOptions{Parallel: 3, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1000, 2000, 3000}}, ChunkSize: 250}
				client := newClient(t, srv.Endpoint(), &tus.Options{StallTimeout: -1})
				u, err := client.NewUploader(tus.Bytes(randomBytes(4000)), opts)
				if err != nil {
					t.Fatal(err)
				}
				res, err := u.Run(testContext(t))
				wantError(t, err, test.want)
				if errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "canceled") {
					t.Errorf("error is %v", err)
				}
				var e *tus.Error
				if !errors.As(err, &e) || e.Method != test.faulty {
					t.Errorf("error is %v, want that of the %s", err, test.faulty)
				}
				if u.State() != tus.StateFailed || res.Offset != 0 || len(finals(srv.Handler)) != 0 {
					t.Errorf("state is %v, offset %d, %d finals", u.State(), res.Offset, len(finals(srv.Handler)))
				}
				if n := srv.Count(test.faulty); n > 4 { // some parts start before the failure
					t.Errorf("%d requests", n)
				}
			})
		}
	}
}

func TestPartsNeverShareAnUpload(t *testing.T) {
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
	ctx, cancel := context.WithCancel(testContext(t))
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		cancel()
		tustest.Stall()(w, r, h)
	}})
	_, err = newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(data), inParts(4))
	wantError(t, err, context.Canceled)
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

func TestPart_ExhaustedRetriesEndUpload(t *testing.T) {
	for kind, srv := range concatServers(t) {
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if u, _ := h.Upload(r.URL.Path); u.Length == 1000 {
				faults.RespondAfter(500, "disk full")(w, r, h)
				return
			}
			h.Serve(w, r)
		}})
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(unequalSize)), unequal())
		var e *tus.Error
		if !errors.As(err, &e) || e.StatusCode != 500 || !strings.Contains(err.Error(), "part at offset 900") {
			t.Errorf("%s: error is %v", kind, err)
		}
		refused := 0
		for _, r := range srv.Requests() {
			if u, _ := srv.Upload(r.Path); r.Method == "PATCH" && u.Length == 1000 {
				refused++
			}
		}
		if refused != 9 || len(finals(srv.Handler)) != 0 {
			t.Errorf("%s: %d attempts, %d finals", kind, refused, len(finals(srv.Handler)))
		}
	}
}

func TestPart_ReadErrorEndsUpload(t *testing.T) {
	data := randomBytes(4000)
	source := readerSource{size: 4000, open: func(offset int64) io.Reader {
		if offset >= 2000 {
			return readerFunc(func([]byte) (int, error) { return 0, errUnplugged })
		}
		return bytes.NewReader(data[offset:])
	}}
	for kind, srv := range concatServers(t) {
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, inParts(4))
		wantError(t, err, errUnplugged)
		if errors.Is(err, context.Canceled) || len(finals(srv.Handler)) != 0 {
			t.Errorf("%s: error is %v, %d finals", kind, err, len(finals(srv.Handler)))
		}
	}
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
		"404":           {goneWith(404), tus.Stats{Sent: unequalSize + 750, Resent: 750, Retries: 1, Restarts: 1}},
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
			if s.TotalRequests() != len(srv.Requests()) || s.Uploaded != unequalSize || s.ResumedFrom != 0 || s.Elapsed <= 0 {
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
