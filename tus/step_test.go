package tus_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// trace returns a line for each Step: the next state and the requests.
func trace(t *testing.T, srv *tustest.Server, u *tus.Uploader, steps int) []string {
	t.Helper()
	var lines []string
	for range steps {
		before := len(srv.Requests())
		err := u.Step(testContext(t))
		line := u.State().String()
		requests := srv.Requests()[before:]
		if len(requests) > 1 {
			t.Errorf("a step made %d requests: %v", len(requests), requests)
		}
		for _, r := range requests {
			line += " " + r.Method
		}
		if err != nil {
			line += " error"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestStep_OneTransitionAtMostOneRequest(t *testing.T) {
	tests := map[string]struct {
		size   int
		opts   *tus.UploadOptions
		faults []tustest.Fault
		want   []string
	}{
		"empty":                 {0, nil, nil, []string{"creating OPTIONS", "ready POST", "finishing", "complete", "complete"}},
		"empty, creation first": {0, whole(), nil, []string{"creating", "recovering POST", "ready HEAD", "finishing", "complete"}},
		"empty, HEAD fails": {0, whole(), []tustest.Fault{{Method: "HEAD", Action: goneWith(404)}},
			[]string{"creating", "recovering POST", "sending HEAD", "ready PATCH", "finishing", "complete"}},
		"creation with upload": {1000, nil, nil,
			[]string{"creating OPTIONS", "ready POST", "finishing", "complete"}},
		"two chunks": {2000, chunked(), nil,
			[]string{"creating", "ready POST", "sending", "ready PATCH", "sending", "ready PATCH", "finishing", "complete"}},
		"failed creation": {2000, whole(), []tustest.Fault{{Method: "POST", Action: tustest.Respond(503, "")}},
			[]string{"creating", "creating POST error", "ready POST", "sending", "ready PATCH", "finishing", "complete"}},
		"lost response": {2000, whole(), []tustest.Fault{{Method: "PATCH", Action: tustest.LoseResponse()}},
			[]string{"creating", "ready POST", "sending", "recovering PATCH error", "ready HEAD", "finishing", "complete"}},
		"conflict": {2000, whole(), []tustest.Fault{{Method: "PATCH", Action: tustest.Respond(409, "")}},
			[]string{"creating", "ready POST", "sending", "recovering PATCH error", "ready HEAD", "sending", "ready PATCH", "finishing", "complete"}},
		"locked HEAD": {2000, whole(), []tustest.Fault{{Method: "PATCH", Action: tustest.CutBefore()}, {Method: "HEAD", Action: tustest.Respond(423, "")}},
			[]string{"creating", "ready POST", "sending", "recovering PATCH error", "recovering HEAD error", "ready HEAD", "sending", "ready PATCH", "finishing", "complete"}},
		"short write": {2000, whole(), []tustest.Fault{{Method: "PATCH", Action: faults.AcceptOnly(700)}},
			[]string{"creating", "ready POST", "sending", "ready PATCH", "sending", "ready PATCH", "finishing", "complete"}},
		"forgotten": {2000, chunked(), []tustest.Fault{{Method: "PATCH", Action: vanishWith(404)}},
			[]string{"creating", "ready POST", "sending", "recovering PATCH", "creating HEAD error", "ready POST", "sending", "ready PATCH", "sending", "ready PATCH", "finishing", "complete"}},
		"forgotten at HEAD": {2000, chunked(), []tustest.Fault{{Method: "PATCH", Action: tustest.CutBefore()}, {Method: "HEAD", Action: goneWith(410)}},
			[]string{"creating", "ready POST", "sending", "recovering PATCH error", "creating HEAD error", "ready POST", "sending", "ready PATCH", "sending", "ready PATCH", "finishing", "complete"}},
		"gone at the end": {2000, whole(), []tustest.Fault{{Method: "PATCH", Action: vanishWith(404)}},
			[]string{"creating", "ready POST", "sending", "recovering PATCH", "failed HEAD error", "failed error", "failed error"}},
		"refused": {2000, whole(), []tustest.Fault{{Method: "POST", Action: tustest.Respond(403, "")}},
			[]string{"creating", "failed POST error", "failed error", "failed error"}},
		"stop": {2000, &tus.UploadOptions{StopAt: 1500, CreationLimit: -1}, nil,
			[]string{"creating", "ready POST", "sending", "ready PATCH", "paused error", "recovering", "ready HEAD", "sending", "ready PATCH", "finishing", "complete"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(test.faults...)
			data := randomBytes(test.size)
			u := newUploader(t, srv, data, test.opts, tus.Hooks{})
			if u.State() != tus.StateIdle || u.URL() != "" || u.Offset() != 0 {
				t.Errorf("a new uploader is %v at %d of %q", u.State(), u.Offset(), u.URL())
			}
			got := trace(t, srv, u, len(test.want))
			if !slices.Equal(got, test.want) {
				t.Errorf("steps were\n%q, want\n%q", got, test.want)
			}
			if u.State() == tus.StateComplete {
				wantStored(t, srv.Handler, u.URL(), data)
			}
		})
	}
}

func TestStep_ResumeStartsWithHead(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(2000)
	first := newUploader(t, srv, data, chunked(), tus.Hooks{})
	trace(t, srv, first, 4)
	u := newResumer(t, srv, first.URL(), data, tus.Hooks{})
	if u.URL() != first.URL() {
		t.Errorf("URL is %q", u.URL())
	}
	want := []string{"recovering", "ready HEAD", "sending", "ready PATCH", "finishing", "complete"}
	if got := trace(t, srv, u, len(want)); !slices.Equal(got, want) {
		t.Errorf("steps were %q, want %q", got, want)
	}
}

func TestStep_LoopSendsChunkByChunk(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(4500)
	u := newUploader(t, srv, data, chunked(), tus.Hooks{})
	var offsets []int64
	for !u.State().Final() {
		before := u.Offset()
		if err := u.Step(testContext(t)); err != nil {
			t.Fatal(err)
		}
		if u.Offset() != before {
			offsets = append(offsets, u.Offset())
		}
	}
	if want := []int64{1000, 2000, 3000, 4000, 4500}; !slices.Equal(offsets, want) {
		t.Errorf("offsets were %v, want %v", offsets, want)
	}
	wantStored(t, srv.Handler, u.URL(), data)
}

func TestStep_LoopSurvivesFailures(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(
		tustest.Fault{Method: "POST", Times: 20, Action: tustest.Respond(503, "")}, // more than the retries
		tustest.Fault{Method: "PATCH", Skip: 1, Times: 20, Action: tustest.CutAfter(0)},
	)
	data := randomBytes(4500)
	u := newUploader(t, srv, data, chunked(), tus.Hooks{})
	for !u.State().Final() {
		if err := u.Step(testContext(t)); err != nil && !tus.IsRetryable(err) {
			t.Fatal(err)
		}
	}
	wantStored(t, srv.Handler, u.URL(), data)
}

func TestStopAt_PausesOnceAtOffset(t *testing.T) {
	for _, opts := range []tus.UploadOptions{
		{StopAt: 1500},
		{StopAt: 1500, ChunkSize: 1000},
		{StopAt: 1000, ChunkSize: 1000},
		{StopAt: 1},
		{StopAt: 2999},
	} {
		t.Run(fmt.Sprintf("%d in chunks of %d", opts.StopAt, opts.ChunkSize), func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			data := randomBytes(3000)
			u := newUploader(t, srv, data, &opts, tus.Hooks{})
			res, err := u.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)
			if u.State() != tus.StatePaused || res.Offset != opts.StopAt || u.Offset() != opts.StopAt {
				t.Fatalf("state is %v at %d", u.State(), res.Offset)
			}
			if up, _ := srv.Upload(res.URL); int64(len(up.Data)) != opts.StopAt {
				t.Errorf("server has %d bytes", len(up.Data))
			}
			if res, err = u.Run(testContext(t)); err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if res.Stats.Resent != 0 || srv.Count("POST") != 1 {
				t.Errorf("stats are %+v", res.Stats)
			}
		})
	}
	t.Run("at or beyond the end", func(t *testing.T) {
		for _, stop := range []int64{3000, 3001} {
			srv := tustest.NewServer(t, nil)
			data := randomBytes(3000)
			res, err := newUploader(t, srv, data, &tus.UploadOptions{StopAt: stop, ChunkSize: 1000}, tus.Hooks{}).Run(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
		}
	})
}
