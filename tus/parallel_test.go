package tus_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// unequal cuts 4200 bytes into parts of 900, 1000, 1100 and 1200, so that the
// server can tell them apart, each sent in chunks of 250.
func unequal() *tus.UploadOptions {
	return &tus.UploadOptions{Parallel: 4, PartBoundaries: []int64{900, 1900, 3000}, ChunkSize: 250}
}

const unequalSize = 4200

// partStart is where in the source the part of unequal with a length begins.
var partStart = map[int64]int64{900: 0, 1000: 900, 1100: 1900, 1200: 3000}

// onPart does action once with a request to the part of the given length, the
// one after skip others, and serves the rest properly.
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

// untiring retries often, with hardly a wait: a server may notice only after a
// moment that a connection was cut, and say 423 till then.
func untiring() tus.RetryPolicy {
	return tus.RetryPolicy{MaxRetries: 1000, NewBackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) }}
}

// wantRisingProgress fails unless acknowledged bytes never fall and end at size.
func wantRisingProgress(t *testing.T, reports []tus.Progress, size int64) {
	t.Helper()
	var last tus.Progress
	for _, p := range reports {
		if p.Acknowledged < last.Acknowledged || p.Sent < p.Acknowledged || p.Sent > size || p.Total != size || p.TotalUnknown {
			t.Fatalf("progress %+v follows %+v", p, last)
		}
		last = p
	}
	if last.Acknowledged != size {
		t.Errorf("progress ends at %+v, want %d", last, size)
	}
}

func TestFaultOnAPartEndsInTheRightBytes(t *testing.T) {
	data := randomBytes(unequalSize)
	tests := map[string]struct {
		action      tustest.Action
		resent      int64 // at most
		recreations int
	}{
		"cut before the body":   {tustest.CutBefore(), 250, 0},
		"cut in the body":       {tustest.CutAfter(100), 250, 0},
		"answer lost":           {tustest.LoseResponse(), 0, 0},
		"short write":           {tustest.AcceptOnly(100), 150, 0},
		"nothing stored":        {tustest.AcceptOnly(0), 250, 0},
		"500":                   {tustest.RespondAfter(500, "<html>oops</html>"), 250, 0},
		"500 after storing":     {tustest.SetStatus(500), 0, 0},
		"502":                   {tustest.Respond(502, ""), 250, 0},
		"503":                   {tustest.RespondAfter(503, ""), 250, 0},
		"429":                   {tustest.Respond(429, ""), 250, 0},
		"409":                   {tustest.Respond(409, "busy"), 250, 0},
		"423":                   {tustest.Respond(423, "locked"), 250, 0},
		"interrupted":           {tustest.Respond(400, "ERR_UPLOAD_INTERRUPTED"), 250, 0},
		"404":                   {tustest.Respond(404, ""), 750, 1},
		"410":                   {tustest.Respond(410, ""), 750, 1},
		"server lost a chunk":   {truncating(250), 500, 0},
		"server lost the part":  {truncating(0), 750, 0},
		"server is ahead":       {appending(data, 30), 280, 0},
		"part deleted meantime": {forgetting(), 750, 1},
	}
	for name, test := range tests {
		for kind, srv := range concatServers(t) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: onPart(1100, 2, test.action)})
				var seen recorder
				opts := unequal()
				opts.Hooks = seen.hooks()
				res, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: untiring()}).Upload(testContext(t), tus.Bytes(data), opts)
				if err != nil {
					t.Fatal(err)
				}
				wantOneFinal(t, srv.Handler, res.URL, data)
				wantRisingProgress(t, seen.reports, unequalSize)
				s := res.Stats
				if s.Resent > test.resent || s.Recreations != test.recreations || s.RepeatedFinals != 0 {
					t.Errorf("stats are %+v, want at most %d bytes sent again", s, test.resent)
				}
				if name != "server is ahead" && s.Sent-s.Resent != unequalSize {
					t.Errorf("%d bytes were sent, %d of them again", s.Sent, s.Resent)
				}
			})
		}
	}
}

func truncating(n int64) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Truncate(r.URL.Path, n)
		h.Serve(w, r)
	}
}

func forgetting() tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Forget(r.URL.Path)
		h.Serve(w, r)
	}
}

// appending puts n bytes of an unequal part there before the request is served.
func appending(data []byte, n int64) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		u, _ := h.Upload(r.URL.Path)
		at := partStart[u.Length] + int64(len(u.Data))
		h.Append(r.URL.Path, data[at:at+n])
		h.Serve(w, r)
	}
}

func TestSeveralPartsRecoverAtTheSameTime(t *testing.T) {
	// One after the other of these, whatever part it hits.
	actions := []tustest.Action{
		tustest.CutAfter(7), tustest.LoseResponse(), tustest.Respond(404, ""), tustest.AcceptOnly(99),
		truncating(0), tustest.RespondAfter(503, ""), tustest.CutBefore(), tustest.SetStatus(500),
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
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: untiring()}).Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		wantRisingProgress(t, seen.reports, 20_000)
	}
}

func TestStalledPartIsCutAndGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(
			tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.StallAfter(100)},
			tustest.Fault{Method: "PATCH", Skip: 5, Action: tustest.Stall()})
		data := randomBytes(unequalSize)
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, h, res.URL, data)
		if res.Stats.Retries < 2 || res.Stats.Elapsed > 2*time.Minute {
			t.Errorf("stats are %+v", res.Stats)
		}
	})
}

func TestPartsOfAFileAreReadSideBySide(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	data := randomBytes(3 << 20)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, srv := range concatServers(t) {
		srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Times: 3, Action: tustest.CutAfter(100_000)})
		client := newClient(t, srv.Endpoint(), &tus.Options{Retry: untiring()})
		res, err := client.UploadFile(testContext(t), path, &tus.UploadOptions{Parallel: 4, MinPartSize: 1000, ChunkSize: 200_000})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
	}
}

func TestPartsWithChecksums(t *testing.T) {
	for _, extensions := range [][]string{nil, tustest.Without("checksum-trailer"), tustest.Without("checksum-trailer", "concatenation-unfinished")} {
		srv := tustest.NewServer(t, &tustest.Options{Extensions: extensions})
		srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Times: 2, Action: tustest.RespondAfter(460, "")})
		data := randomBytes(unequalSize)
		client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()})
		res, err := client.Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if res.Checksum == "" {
			t.Error("result names no checksum")
		}
		for _, r := range srv.Requests() {
			if r.Method == "PATCH" && r.Header.Get("Upload-Checksum") == "" && r.Header.Get("Trailer") == "" && extensions != nil {
				t.Errorf("PATCH without checksum: %v", r.Header)
			}
		}
	}
}

func TestPartThatFailsForGoodStopsTheOthersAndIsTheCause(t *testing.T) {
	tests := map[string]struct {
		faulty, stalled string
		action          tustest.Action
		want            error
	}{
		"403":                {"PATCH", "PATCH", tustest.Respond(403, "not yours"), tus.ErrUnauthorized},
		"403 on creation":    {"POST", "POST", tustest.Respond(403, "not yours"), tus.ErrUnauthorized},
		"no Location":        {"POST", "POST", tustest.SetHeader("Location", ""), tus.ErrNoLocation},
		"garbage offset":     {"PATCH", "PATCH", tustest.SetHeader("Upload-Offset", "lots"), tus.ErrProtocol},
		"negative offset":    {"PATCH", "PATCH", tustest.SetHeader("Upload-Offset", "-1"), tus.ErrProtocol},
		"offset beyond":      {"PATCH", "PATCH", tustest.SetHeader("Upload-Offset", "251"), tus.ErrProtocol},
		"no offset":          {"PATCH", "PATCH", tustest.SetHeader("Upload-Offset", ""), tus.ErrProtocol},
		"version":            {"PATCH", "PATCH", tustest.Respond(412, ""), tus.ErrVersion},
		"redirected nowhere": {"PATCH", "PATCH", tustest.Respond(307, ""), tus.ErrProtocol},
	}
	for name, test := range tests {
		for kind, srv := range concatServers(t) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				// The others hang until their connection ends: a client that waited for
				// them would never return.
				stalled := newMeeting(3)
				srv.Inject(tustest.Fault{Method: test.stalled, Times: 2, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
					go stalled.wait(r.Context())
					tustest.Stall()(w, r, h)
				}})
				srv.Inject(tustest.Fault{Method: test.faulty, Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
					stalled.wait(r.Context())
					test.action(w, r, h)
				}})
				opts := &tus.UploadOptions{Parallel: 3, PartBoundaries: []int64{1000, 2000}, ChunkSize: 250}
				client := newClient(t, srv.Endpoint(), &tus.Options{StallTimeout: -1})
				u, err := client.NewUploader(tus.Bytes(randomBytes(3000)), opts)
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
				if n := srv.Count(test.faulty); n > 4 { // with the final that was made first
					t.Errorf("%d requests", n)
				}
			})
		}
	}
}

func TestPartsNeverShareAnUpload(t *testing.T) {
	// As with a proxy that answers one request with the answer to another.
	data := randomBytes(4000)
	for kind, srv := range concatServers(t) {
		srv.Inject(tustest.Fault{Method: "POST", Skip: 2, Action: tustest.SetHeader("Location", "/files/00000001")})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), inParts(4))
		wantError(t, err, tus.ErrProtocol)
		if tus.IsTemporary(err) || len(finals(srv.Handler)) != 0 || res.URL != "" {
			t.Errorf("%s: error is %v, URL %q", kind, err, res.URL)
		}
	}
	srv := finalLast(t)
	onFinal(srv, tustest.SetHeader("Location", "/files/00000001"))
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), inParts(4))
	wantError(t, err, tus.ErrProtocol)

	// A record that says so is not believed either.
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
		rec.Parts[2].UploadURL = rec.Parts[0].UploadURL
		if _, err := store.Put(context.Background(), rec); err != nil {
			t.Fatal(err)
		}
	}
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()}).Upload(testContext(t), tus.Bytes(data), inParts(4))
	if err != nil {
		t.Fatal(err)
	}
	wantOneFinal(t, srv.Handler, res.URL, data)
}

func TestPartThatUsesUpItsRetriesEndsTheUpload(t *testing.T) {
	for kind, srv := range concatServers(t) {
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if u, _ := h.Upload(r.URL.Path); u.Length == 1000 {
				tustest.RespondAfter(500, "disk full")(w, r, h)
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

func TestPartThatCannotBeReadEndsTheUpload(t *testing.T) {
	data := randomBytes(4000)
	source := readerSource{size: 4000, open: func(offset int64) io.Reader {
		if offset >= 2000 {
			return readerFunc(func([]byte) (int, error) { return 0, errPlug })
		}
		return bytes.NewReader(data[offset:])
	}}
	for kind, srv := range concatServers(t) {
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, inParts(4))
		wantError(t, err, errPlug)
		if errors.Is(err, context.Canceled) || len(finals(srv.Handler)) != 0 {
			t.Errorf("%s: error is %v, %d finals", kind, err, len(finals(srv.Handler)))
		}
	}
}

func TestStatesOfAParallelUpload(t *testing.T) {
	paths := map[string]string{
		"final at the end": "creating ready sending ready concatenating ready finishing complete",
		"final first":      "creating ready concatenating ready sending ready concatenating ready finishing complete",
	}
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
		if seen.path() != paths[kind] {
			t.Errorf("%s: states were %s", kind, seen.path())
		}
		if u.Offset() != 2000 {
			t.Errorf("%s: offset is %d", kind, u.Offset())
		}
	}
}

// phase is a moment in a parallel upload at which something can happen to it.
type phase struct {
	name   string
	method string
	skip   int
	final  bool // the request is about the final upload
	early  bool // only where the final is made first
}

var phases = []phase{
	{name: "creating the first part", method: "POST"},
	{name: "creating the last part", method: "POST", skip: 3},
	{name: "sending the first chunk", method: "PATCH"},
	{name: "sending", method: "PATCH", skip: 9},
	{name: "sending the last chunk", method: "PATCH", skip: 17},
	{name: "concatenating", method: "POST", final: true},
	{name: "confirming the final", method: "HEAD", final: true, early: true},
}

// inject does action with the request of the phase, once.
func (p phase) inject(srv *tustest.Server, action tustest.Action) {
	var seen atomic.Int64
	srv.Inject(tustest.Fault{Method: p.method, Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		u, _ := h.Upload(r.URL.Path)
		final := strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;") || strings.HasPrefix(u.Concat, "final;")
		if final == p.final && seen.Add(1) == int64(p.skip)+1 {
			action(w, r, h)
			return
		}
		h.Serve(w, r)
	}})
}

// endings are what may become of a request during which the client stops.
var endings = map[string]tustest.Action{
	"never served": tustest.Stall(),
	"served":       tustest.LoseResponse(),
}

func forEachPhase(t *testing.T, test func(t *testing.T, srv *tustest.Server, p phase, ending tustest.Action)) {
	for kind := range concatServers(t) {
		for _, p := range phases {
			if p.early && kind != "final first" {
				continue
			}
			for how, ending := range endings {
				t.Run(kind+"/"+p.name+"/"+how, func(t *testing.T) { test(t, concatServers(t)[kind], p, ending) })
			}
		}
	}
}

// wantFinals fails unless data is stored, and all complete final uploads but one
// are owned up to.
func wantFinals(t *testing.T, srv *tustest.Server, res *tus.Result, data []byte) {
	t.Helper()
	wantStored(t, srv.Handler, res.URL, data)
	if n := len(finals(srv.Handler)); n > 1+res.Stats.RepeatedFinals {
		t.Errorf("server has %d complete final uploads, and %d were repeated", n, res.Stats.RepeatedFinals)
	}
}

// wantLittleResent fails if more was sent to the server in all than the source
// and what may have been on the way.
func wantLittleResent(t *testing.T, srv *tustest.Server, size int64) {
	t.Helper()
	const onTheWay = 4 * 250
	if n := srv.BytesReceived(); n > size+onTheWay {
		t.Errorf("server was sent %d bytes", n)
	}
}

func TestParallelUploadGoesOnAfterPauseInAnyPhase(t *testing.T) {
	data := randomBytes(unequalSize)
	forEachPhase(t, func(t *testing.T, srv *tustest.Server, p phase, ending tustest.Action) {
		for _, store := range []storage.Store{nil, &storage.Memory{}} {
			srv := restarted(t, srv)
			var seen recorder
			opts := unequal()
			opts.Hooks = seen.hooks()
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()})
			u, err := client.NewUploader(tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			p.inject(srv, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				u.Pause()
				ending(w, r, h)
			})
			_, err = u.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)
			if u.State() != tus.StatePaused {
				t.Fatalf("state is %v", u.State())
			}
			res, err := u.Run(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			wantFinals(t, srv, res, data)
			if res.Stats.RepeatedFinals > 0 && (!p.final || p.early) {
				t.Errorf("stats are %+v", res.Stats)
			}
			wantLittleResent(t, srv, unequalSize)
			wantRisingProgress(t, seen.reports, unequalSize)
			if memory, ok := store.(*storage.Memory); ok {
				wantNothingKept(t, memory)
			}
		}
	})
}

// restarted is a server like srv with nothing in it.
func restarted(t *testing.T, srv *tustest.Server) *tustest.Server {
	t.Helper()
	caps, err := newClient(t, srv.Endpoint(), nil).Capabilities(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	var extensions []string
	for _, e := range caps.Extensions {
		extensions = append(extensions, string(e))
	}
	return tustest.NewServer(t, &tustest.Options{Extensions: extensions})
}

func wantNothingKept(t *testing.T, store *storage.Memory) {
	t.Helper()
	for rec, err := range store.All(context.Background()) {
		t.Errorf("store still has %+v, %v", rec, err)
	}
}

func TestParallelUploadIsResumedByALaterSessionFromAnyPhase(t *testing.T) {
	data := randomBytes(unequalSize)
	forEachPhase(t, func(t *testing.T, srv *tustest.Server, p phase, ending tustest.Action) {
		for _, connections := range []int{0, 1, 2, 4, 7} {
			srv, store := restarted(t, srv), &storage.Memory{}
			ctx, cancel := context.WithCancel(testContext(t))
			p.inject(srv, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				cancel()
				ending(w, r, h)
			})
			first, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()}).Upload(ctx, tus.Bytes(data), unequal())
			wantError(t, err, context.Canceled)

			var seen recorder
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()}).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{
				Parallel: connections, MinPartSize: 100, ChunkSize: 250, Hooks: seen.hooks(),
			})
			if err != nil {
				t.Fatal(err)
			}
			wantFinals(t, srv, res, data)
			wantLittleResent(t, srv, unequalSize)
			wantRisingProgress(t, seen.reports, unequalSize)
			wantNothingKept(t, store)
			if s := res.Stats; s.ResumedFrom < first.Offset || s.ResumedFrom+s.Acknowledged != unequalSize {
				t.Errorf("first session came to %d, stats of the second are %+v", first.Offset, s)
			}
		}
	})
}

func TestParallelUploadSurvivesACrashInAnyPhase(t *testing.T) {
	data := randomBytes(unequalSize)
	forEachPhase(t, func(t *testing.T, srv *tustest.Server, p phase, ending tustest.Action) {
		store, left := &storage.Memory{}, &storage.Memory{}
		ctx, cancel := context.WithCancel(testContext(t))
		p.inject(srv, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			asOfNow(t, store, left) // nothing that comes later is on disk
			cancel()
			ending(w, r, h)
		})
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()}).Upload(ctx, tus.Bytes(data), unequal())
		wantError(t, err, context.Canceled)

		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: left, Retry: untiring()}).Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		wantFinals(t, srv, res, data)
		// Where the final is made first nothing has been sent to the parts yet.
		if res.Stats.RepeatedFinals > 0 && (p.name != "concatenating" || strings.Contains(t.Name(), "final_first")) {
			t.Errorf("stats are %+v", res.Stats)
		}
		wantLittleResent(t, srv, unequalSize)
		wantNothingKept(t, left)
	})
}

// asOfNow copies the records of a store, as of a program that is no more.
func asOfNow(t *testing.T, from, to *storage.Memory) {
	for rec, err := range from.All(context.Background()) {
		if err != nil {
			t.Error(err)
			continue
		}
		rec.Lease, rec.Revision = nil, 0
		if _, err := to.Put(context.Background(), rec); err != nil {
			t.Error(err)
		}
	}
}

func TestPartsThatExistAreUsedByTheNextSession(t *testing.T) {
	for kind, srv := range concatServers(t) {
		store := &storage.Memory{}
		ctx, cancel := context.WithCancel(testContext(t))
		srv.Inject(tustest.Fault{Method: "POST", Skip: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			cancel()
			tustest.Stall()(w, r, h)
		}})
		data := randomBytes(5000)
		opts := inParts(2)
		opts.PartBoundaries = []int64{1000, 2000, 3000, 4000}
		var seen recorder
		opts.Hooks = seen.hooks()
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(data), opts)
		wantError(t, err, context.Canceled)
		if len(seen.urls) < 2 {
			t.Fatalf("%s: %d parts were created", kind, len(seen.urls))
		}
		opts.Hooks = tus.Hooks{}
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		final, _ := srv.Upload(res.URL)
		for _, url := range seen.urls {
			if !strings.Contains(final.Concat+" ", url+" ") {
				t.Errorf("%s: part %s is not in %s", kind, url, final.Concat)
			}
		}
	}
}

func TestPartsAreStoredBeforeTheirFirstByte(t *testing.T) {
	for kind, srv := range concatServers(t) {
		store, data := &storage.Memory{}, randomBytes(unequalSize)
		var checked, forgot atomic.Int64
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			records, found := 0, false
			for rec, err := range store.All(context.Background()) {
				records++
				end := int64(0)
				for _, p := range rec.Parts {
					if u, ok := h.Upload(p.UploadURL); err != nil || !ok || p.Offset != end || u.Length != p.Size {
						t.Errorf("%s: stored part is %+v", kind, p)
					}
					found = found || strings.HasSuffix(p.UploadURL, r.URL.Path)
					end += p.Size
				}
				if end != unequalSize || rec.Size != unequalSize {
					t.Errorf("%s: stored parts have %d bytes of %d", kind, end, rec.Size)
				}
			}
			if records != 1 || !found {
				t.Errorf("%s: %d records, and the part is in one: %v", kind, records, found)
			}
			if checked.Add(1) == 8 && forgot.Add(1) == 1 {
				h.Forget(r.URL.Path) // and a new part is made in the middle of it all
			}
			h.Serve(w, r)
		}})
		u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()}).NewUploader(tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		res, err := u.Run(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if checked.Load() < 18 || res.Stats.Recreations != 1 {
			t.Errorf("%s: %d chunks were checked, stats are %+v", kind, checked.Load(), res.Stats)
		}
		wantNothingKept(t, store)
	}
}

func TestPauseBetweenACreationAndItsRecordLosesNeither(t *testing.T) {
	for _, parallel := range []int{0, 4} {
		for pauseAt := 1; pauseAt <= 6; pauseAt++ {
			for kind := range concatServers(t) {
				srv, store, data := concatServers(t)[kind], &storage.Memory{}, randomBytes(unequalSize)
				// Every fourth chunk finds its upload gone, so that there are more creations.
				var chunks atomic.Int64
				srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
					stored := false
					for rec := range store.All(context.Background()) {
						stored = stored || strings.HasSuffix(rec.UploadURL, r.URL.Path)
						for _, p := range rec.Parts {
							stored = stored || strings.HasSuffix(p.UploadURL, r.URL.Path)
						}
					}
					if !stored {
						t.Errorf("%s, paused at creation %d: %s is sent to and not stored", kind, pauseAt, r.URL.Path)
					}
					if n := chunks.Add(1); n%4 == 0 && n < 20 {
						h.Forget(r.URL.Path)
					}
					h.Serve(w, r)
				}})
				var u *tus.Uploader
				creations := 0
				opts := unequal()
				if opts.Parallel = parallel; parallel == 0 {
					opts.PartBoundaries = nil
				}
				opts.Hooks.AfterResponse = func(r *http.Request, _ *tus.Response) {
					if r.Method == "POST" {
						if creations++; creations == pauseAt {
							u.Pause()
						}
					}
				}
				u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()}).NewUploader(tus.Bytes(data), opts)
				if err != nil {
					t.Fatal(err)
				}
				_, err = u.Run(testContext(t))
				if creations < pauseAt {
					continue // there were not so many
				}
				wantError(t, err, tus.ErrPaused)
				res, err := u.Run(testContext(t))
				if err != nil {
					t.Fatalf("%s, paused at creation %d: %v", kind, pauseAt, err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				wantNothingKept(t, store)
			}
		}
	}
}

// interruptedInParts sends about half of data to srv in parts of unequal, and
// leaves it to the store.
func interruptedInParts(t *testing.T, srv *tustest.Server, store storage.Store, data []byte) {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 9, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		cancel()
		tustest.Stall()(w, r, h)
	}})
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(data), unequal())
	wantError(t, err, context.Canceled)
}

func TestPartsThatTheServerForgotBetweenSessionsAreSentAgain(t *testing.T) {
	data := randomBytes(unequalSize)
	for kind := range concatServers(t) {
		for gone := 1; gone <= 4; gone++ {
			srv, store := concatServers(t)[kind], &storage.Memory{}
			interruptedInParts(t, srv, store, data)
			left := int64(0)
			for i, u := range partials(srv.Handler) {
				if i < gone {
					srv.Forget(u.ID)
				} else {
					left += int64(len(u.Data))
				}
			}
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()}).Upload(testContext(t), tus.Bytes(data), unequal())
			if err != nil {
				t.Fatalf("%s: %d parts gone: %v", kind, gone, err)
			}
			wantFinals(t, srv, res, data)
			if n := len(partials(srv.Handler)); n != 4+gone {
				t.Errorf("%s: %d parts gone: %d partial uploads", kind, gone, n)
			}
			if n := res.Stats.Sent - res.Stats.Resent; n > unequalSize-left {
				t.Errorf("%s: %d parts gone: %d bytes were sent, and the server had %d", kind, gone, n, left)
			}
		}
	}
}

func TestCompletePartThatTheServerForgotMakesNoSecondFinal(t *testing.T) {
	// A final upload that was made first may have kept the bytes of the part, and
	// is complete as soon as the other parts are.
	data := randomBytes(unequalSize)
	for kind, srv := range concatServers(t) {
		store := &storage.Memory{}
		ctx, cancel := context.WithCancel(testContext(t))
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			u, _ := h.Upload(r.URL.Path)
			if u.Length != 900 && ctx.Err() == nil {
				tustest.Stall()(w, r, h)
				return
			}
			h.Serve(w, r)
		}})
		opts := unequal()
		opts.Hooks.OnProgress = func(p tus.Progress) {
			if p.Acknowledged == 900 {
				cancel()
			}
		}
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(data), opts)
		wantError(t, err, context.Canceled)
		for _, u := range partials(srv.Handler) {
			if u.Length == 900 {
				srv.Forget(u.ID)
			}
		}
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()}).Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantFinals(t, srv, res, data)
	}
}

func TestFinalThatWasMadeFirstIsGivenUpForGood(t *testing.T) {
	// It can never be complete: a part of it, or it itself, is gone. Neither the
	// next session nor the one after that waits for it.
	data := randomBytes(unequalSize)
	for name, forget := range map[string]func(h *tustest.Handler){
		"a part is gone": func(h *tustest.Handler) {
			for _, u := range partials(h) {
				if !u.Complete() {
					h.Forget(u.ID)
					return
				}
			}
		},
		"the final is gone": func(h *tustest.Handler) {
			for _, u := range h.Uploads() {
				if strings.HasPrefix(u.Concat, "final;") {
					h.Forget(u.ID)
				}
			}
		},
	} {
		srv, store := tustest.NewServer(t, nil), &storage.Memory{}
		interruptedInParts(t, srv, store, data)
		forget(srv.Handler)
		ctx, cancel := context.WithCancel(testContext(t))
		srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			cancel()
			tustest.Stall()(w, r, h)
		}})
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()}).Upload(ctx, tus.Bytes(data), unequal())
		wantError(t, err, context.Canceled)
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()}).Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		wantNothingKept(t, store)
	}
}

func TestRecordWithPartsThatDoNotTileIsNeverUsed(t *testing.T) {
	data := randomBytes(unequalSize)
	for name, damage := range map[string]func(*storage.Record){
		"hole":        func(r *storage.Record) { r.Parts = append(r.Parts[:1], r.Parts[2:]...) },
		"wrong order": func(r *storage.Record) { r.Parts[0], r.Parts[1] = r.Parts[1], r.Parts[0] },
		"other part": func(r *storage.Record) {
			r.Parts[0].UploadURL, r.Parts[1].UploadURL = r.Parts[1].UploadURL, r.Parts[0].UploadURL
		},
	} {
		srv, store := finalLast(t), &storage.Memory{}
		interruptedInParts(t, srv, store, data)
		for rec, err := range store.All(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			damage(&rec)
			if _, err := store.Put(context.Background(), rec); err != nil {
				continue // the store knows better
			}
		}
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
	}
}

// oneReader is a source that breaks when two readers of it are open.
type oneReader struct {
	t    *testing.T
	data []byte
	open atomic.Int64
}

func (s *oneReader) Stat(context.Context) (tus.SourceInfo, error) {
	return tus.SourceInfo{Size: int64(len(s.data)), Sequential: true}, nil
}

func (s *oneReader) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	if s.open.Add(1) > 1 {
		s.t.Error("two readers are open")
	}
	return oneReading{bytes.NewReader(s.data[offset:]), s}, nil
}

type oneReading struct {
	io.Reader
	source *oneReader
}

func (r oneReading) Close() error { r.source.open.Add(-1); return nil }

func TestPartsOfAnEarlierSessionFromASourceWithOneReader(t *testing.T) {
	data := randomBytes(unequalSize)
	for kind, srv := range concatServers(t) {
		store := &storage.Memory{}
		interruptedInParts(t, srv, store, data)
		opts := unequal()
		opts.ParallelBestEffort = true
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()})
		res, err := client.Upload(testContext(t), &oneReader{t: t, data: data}, opts)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if res.Stats.ResumedFrom == 0 {
			t.Errorf("%s: nothing was resumed", kind)
		}
	}
}

func TestStatsOfPartsAreWhatTheServerSaw(t *testing.T) {
	tests := map[string]struct {
		action tustest.Action
		want   tus.Stats
	}{
		"no fault":    {nil, tus.Stats{Sent: unequalSize}},
		"500":         {tustest.RespondAfter(500, ""), tus.Stats{Sent: unequalSize + 250, Resent: 250, Retries: 1, Recoveries: 1}},
		"answer lost": {tustest.LoseResponse(), tus.Stats{Sent: unequalSize, Retries: 1, Recoveries: 1}},
		"404":         {tustest.RespondAfter(404, ""), tus.Stats{Sent: unequalSize + 750, Resent: 750, Retries: 1, Recreations: 1}},
		"short write": {tustest.AcceptOnly(100), tus.Stats{Sent: unequalSize + 150, Resent: 150}},
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
			for ctx := testContext(t); srv.BytesReceived() < s.Sent && ctx.Err() == nil; {
				runtime.Gosched() // the log of a request that was cut may come late
			}
			if s.Sent != srv.BytesReceived() {
				t.Errorf("%s/%s: %d bytes were sent, %d received", name, kind, s.Sent, srv.BytesReceived())
			}
			for _, method := range []string{"OPTIONS", "POST", "PATCH", "HEAD", "DELETE"} {
				if s.Requests[method] != srv.Count(method) {
					t.Errorf("%s/%s: %d %s requests counted, %d received", name, kind, s.Requests[method], method, srv.Count(method))
				}
			}
			if s.TotalRequests() != len(srv.Requests()) || s.Acknowledged != unequalSize || s.ResumedFrom != 0 || s.Elapsed <= 0 {
				t.Errorf("%s/%s: stats are %+v", name, kind, s)
			}
			if s.Sent != test.want.Sent || s.Resent != test.want.Resent || s.Retries != test.want.Retries ||
				s.Recoveries != test.want.Recoveries || s.Recreations != test.want.Recreations {
				t.Errorf("%s/%s: stats are %+v, want %+v", name, kind, s, test.want)
			}
			if res.Creation == nil || res.Creation.StatusCode != 201 || res.LastPatch == nil || res.LastPatch.StatusCode != 204 {
				t.Errorf("%s/%s: answers in the result are %v and %v", name, kind, res.Creation, res.LastPatch)
			}
		}
	}
}

func TestHooksOfPartsNeverRunAtTheSameTime(t *testing.T) {
	for kind, srv := range concatServers(t) {
		srv.Inject(
			tustest.Fault{Method: "PATCH", Skip: 4, Times: 3, Action: tustest.CutAfter(100)},
			tustest.Fault{Method: "PATCH", Skip: 8, Times: 1, Action: tustest.Respond(404, "")})
		calls := map[string]int{} // not locked: the race detector sees hooks that meet
		var inside atomic.Int64
		hook := func(name string) {
			if inside.Add(1) != 1 {
				t.Errorf("%s: %s runs while another hook does", kind, name)
			}
			for range 10 { // as long as a hook takes, others try
				runtime.Gosched()
			}
			calls[name]++
			inside.Add(-1)
		}
		opts := unequal()
		opts.ChunkSize = 20
		opts.Hooks = tus.Hooks{
			BeforeRequest: func(*http.Request) error { hook("BeforeRequest"); return nil },
			AfterResponse: func(*http.Request, *tus.Response) { hook("AfterResponse") },
			OnUploadURL:   func(tus.UploadURLEvent) { hook("OnUploadURL") },
			OnStateChange: func(tus.StateEvent) { hook("OnStateChange") },
			OnProgress:    func(tus.Progress) { hook("OnProgress") },
			OnRetry:       func(tus.RetryEvent) { hook("OnRetry") },
		}
		data := randomBytes(unequalSize)
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}, Retry: untiring()})
		res, err := client.Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if len(calls) != 6 || calls["BeforeRequest"] != len(srv.Requests()) || calls["OnUploadURL"] != len(srv.Uploads()) {
			t.Errorf("%s: hooks ran %v times, for %d requests", kind, calls, len(srv.Requests()))
		}
	}
}

// flakyStore refuses to store once it is told to, and tells when it did.
type flakyStore struct {
	storage.Memory
	broken  atomic.Bool
	refused chan struct{}
	once    sync.Once
}

func (s *flakyStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	if !s.broken.Load() {
		return s.Memory.Put(ctx, rec)
	}
	s.once.Do(func() { close(s.refused) })
	return rec, errPlug
}

func TestStoreErrorIsNotToldWhileAnotherHookRuns(t *testing.T) {
	for _, parallel := range []int{0, 2} {
		bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
			store := &flakyStore{refused: make(chan struct{})}
			var inside, told atomic.Int64
			enter := func() (leave func()) {
				if inside.Add(1) != 1 {
					t.Error("two hooks run at the same time")
				}
				return func() { inside.Add(-1) }
			}
			opts := inParts(parallel)
			opts.ChunkSize = 500
			opts.Hooks.BeforeRequest = func(r *http.Request) error {
				defer enter()()
				if r.Method == "PATCH" && !store.broken.Swap(true) {
					<-store.refused // the lease is renewed from another goroutine
					for range 1000 {
						runtime.Gosched()
					}
				}
				return nil
			}
			opts.Hooks.OnStoreError = func(tus.StoreError) { enter()(); told.Add(1) }
			data := randomBytes(4000)
			// Over one connection only one part gets as far as to the hook.
			res, err := newClient(&tus.Options{Store: store, StallTimeout: -1, MaxConnections: 1}).Upload(t.Context(), tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, h, res.URL, data)
			if told.Load() == 0 {
				t.Error("OnStoreError was not told")
			}
		})
	}
}

func TestHookMayPauseAParallelUpload(t *testing.T) {
	for kind, srv := range concatServers(t) {
		var u *tus.Uploader
		opts := unequal()
		once := sync.OnceFunc(func() { u.Pause() })
		opts.Hooks.OnProgress = func(p tus.Progress) {
			if p.Acknowledged >= 2000 && p.Acknowledged == u.Offset() {
				once()
			}
		}
		data := randomBytes(unequalSize)
		u, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: untiring()}).NewUploader(tus.Bytes(data), opts)
		if err != nil {
			t.Fatal(err)
		}
		_, err = u.Run(testContext(t))
		wantError(t, err, tus.ErrPaused)
		res, err := u.Run(testContext(t))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
	}
}

func TestExpiredTokenIsRenewedForEachPart(t *testing.T) {
	for kind, srv := range concatServers(t) {
		srv.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			// A token is good for five requests.
			if r.Method != "OPTIONS" && len(h.Requests())/5 != len(r.Header.Get("X-Token")) {
				tustest.Respond(401, "")(w, r, h)
				return
			}
			h.Serve(w, r)
		}})
		data := randomBytes(2000)
		opts := &tus.UploadOptions{Parallel: 2, MinPartSize: 500, ChunkSize: 500}
		client := newClient(t, srv.Endpoint(), &tus.Options{MaxConnections: 1, Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
			// The request is the next in the log, but for one of another part that
			// comes in between: then it is refused once.
			r.Header.Set("X-Token", strings.Repeat("x", (len(srv.Requests())+1)/5))
			return nil
		}}})
		res, err := client.Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
	}
}

func TestAbortDeletesPartsAndFinal(t *testing.T) {
	for kind, srv := range concatServers(t) {
		for _, p := range phases {
			if p.early && kind != "final first" {
				continue
			}
			srv, store := restarted(t, srv), &storage.Memory{}
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: untiring()}).NewUploader(tus.Bytes(randomBytes(unequalSize)), unequal())
			if err != nil {
				t.Fatal(err)
			}
			reached := make(chan struct{})
			p.inject(srv, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				close(reached)
				tustest.Stall()(w, r, h)
			})
			ran := make(chan error)
			go func() { _, err := u.Run(testContext(t)); ran <- err }()
			<-reached
			var aborted sync.WaitGroup
			aborted.Go(func() {
				if err := u.Abort(testContext(t)); err != nil {
					t.Errorf("%s/%s: %v", kind, p.name, err)
				}
			})
			wantError(t, <-ran, tus.ErrPaused)
			aborted.Wait()
			if u.State() != tus.StateAborted {
				t.Errorf("%s/%s: state is %v", kind, p.name, u.State())
			}
			known := 0
			for _, up := range srv.Uploads() {
				if up.Terminated {
					known++
				}
			}
			// Of a creation whose answer did not come nobody knows.
			if p.method == "PATCH" && known != len(srv.Uploads()) || p.method != "POST" && known < 4 {
				t.Errorf("%s/%s: %d of %d uploads were deleted", kind, p.name, known, len(srv.Uploads()))
			}
			wantNothingKept(t, store)
			if _, err := u.Run(testContext(t)); err == nil {
				t.Errorf("%s/%s: runs on after Abort", kind, p.name)
			}
		}
	}
}

func TestSourceThatChangesUnderItsPartsMakesNoFinalUpload(t *testing.T) {
	grow := func(path string) error {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString("more")
		return err
	}
	changes := map[string]func(path string) error{
		"truncated": func(path string) error { return os.Truncate(path, 100) },
		"emptied":   func(path string) error { return os.Truncate(path, 0) },
		"grown":     grow,
		"rewritten": func(path string) error {
			if err := os.WriteFile(path, make([]byte, unequalSize), 0o600); err != nil {
				return err
			}
			return os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0))
		},
		"replaced": func(path string) error {
			if err := os.WriteFile(path+".new", make([]byte, unequalSize), 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
	}
	// How many chunks were confirmed before. Parts that are sent at the same time
	// may be complete before the last four answers are in.
	moments := map[string]int{
		"before the first byte": 0, "in the middle": 9, "before the last chunk": 17, "after it": 18, "before the final": 19,
	}
	for name, change := range changes {
		for moment, answers := range moments {
			for kind, srv := range concatServers(t) {
				t.Run(name+"/"+moment+"/"+kind, func(t *testing.T) {
					path, store := filepath.Join(t.TempDir(), "file"), &storage.Memory{}
					if err := os.WriteFile(path, randomBytes(unequalSize), 0o600); err != nil {
						t.Fatal(err)
					}
					made := sync.OnceFunc(func() {
						if err := change(path); err != nil {
							t.Error(err)
						}
					})
					opts, patches := unequal(), 0
					opts.Hooks.BeforeRequest = func(r *http.Request) error {
						if r.Method == "PATCH" && answers == 0 {
							made()
						}
						return nil
					}
					opts.Hooks.AfterResponse = func(r *http.Request, _ *tus.Response) {
						if r.Method != "PATCH" {
							return
						}
						if patches++; patches == answers {
							made()
						}
					}
					opts.Hooks.OnStateChange = func(e tus.StateEvent) {
						if e.To == tus.StateConcatenating && patches == 18 {
							made()
						}
					}
					res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).UploadFile(testContext(t), path, opts)
					wantError(t, err, tus.ErrSourceChanged)
					// Of complete parts a final that was made first is complete, too.
					if n := len(finals(srv.Handler)); n != 0 && (kind != "final first" || answers < 15) {
						t.Errorf("server has %d final uploads, one at %s", n, res.URL)
					}
					wantNothingKept(t, store)
				})
			}
		}
	}
}

// sizedSource has a size that changes, and neither time nor version.
type sizedSource struct {
	data []byte
	size atomic.Int64
}

func (s *sizedSource) Stat(context.Context) (tus.SourceInfo, error) {
	return tus.SourceInfo{Size: s.size.Load()}, nil
}

func (s *sizedSource) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s.data[offset:s.size.Load()])), nil
}

func TestSourceThatGrowsWithoutATimeMakesNoFinalUpload(t *testing.T) {
	for kind, srv := range concatServers(t) {
		source := &sizedSource{data: randomBytes(8000)}
		source.size.Store(4000)
		srv.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			source.size.Store(8000)
			h.Serve(w, r)
		}})
		opts := inParts(4)
		opts.ChunkSize = 250
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, opts)
		wantError(t, err, tus.ErrSourceChanged)
		if len(finals(srv.Handler)) != 0 {
			t.Errorf("%s: server has a final upload", kind)
		}
	}
}

func TestCancelledPartsReturnAtOnceAndLeaveNothingRunning(t *testing.T) {
	for _, method := range []string{"OPTIONS", "POST", "PATCH", "HEAD"} {
		// The bubble ends only when no goroutine is left in it.
		bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
			reached := make(chan struct{})
			once := sync.OnceFunc(func() { close(reached) })
			h.Inject(tustest.Fault{Method: method, Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				once()
				tustest.StallAfter(10)(w, r, h)
			}})
			ctx, cancel := context.WithCancel(t.Context())
			begin := time.Now()
			go func() { <-reached; cancel() }()
			_, err := newClient(&tus.Options{Store: &storage.Memory{}}).Upload(ctx, tus.Bytes(randomBytes(unequalSize)), unequal())
			wantError(t, err, context.Canceled)
			if d := time.Since(begin); d > 0 {
				t.Errorf("%s: returned after %v", method, d)
			}
		})
	}
}
