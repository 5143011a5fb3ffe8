package tus_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

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
		"404":                  {vanishWith(404), 750, 1},
		"410":                  {vanishWith(410), 750, 1},
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
