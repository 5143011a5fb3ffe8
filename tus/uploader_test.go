package tus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// newUploader returns an Uploader of data on srv.
func newUploader(t testing.TB, srv *tustest.Server, data []byte, opts *tus.UploadOptions, hooks tus.Hooks) *tus.Uploader {
	t.Helper()
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Hooks: hooks}).NewUploader(tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func newResumer(t testing.TB, srv *tustest.Server, url string, data []byte, hooks tus.Hooks) *tus.Uploader {
	t.Helper()
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Hooks: hooks}).NewResumer(url, tus.Bytes(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// run calls Run in a goroutine. The function returned waits for it.
func run(t testing.TB, u *tus.Uploader) (wait func() error) {
	done := make(chan error, 1)
	ctx := testContext(t)
	go func() {
		_, err := u.Run(ctx)
		done <- err
	}()
	return func() error { return <-done }
}

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
		"forgotten": {2000, chunked(), []tustest.Fault{{Method: "PATCH", Action: goneWith(404)}},
			[]string{"creating", "ready POST", "sending", "creating PATCH error", "ready POST", "sending", "ready PATCH", "sending", "ready PATCH", "finishing", "complete"}},
		"forgotten at HEAD": {2000, chunked(), []tustest.Fault{{Method: "PATCH", Action: tustest.CutBefore()}, {Method: "HEAD", Action: goneWith(410)}},
			[]string{"creating", "ready POST", "sending", "recovering PATCH error", "creating HEAD error", "ready POST", "sending", "ready PATCH", "sending", "ready PATCH", "finishing", "complete"}},
		"gone at the end": {2000, whole(), []tustest.Fault{{Method: "PATCH", Action: goneWith(404)}},
			[]string{"creating", "ready POST", "sending", "failed PATCH error", "failed error", "failed error"}},
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

func TestPause_BeforeAndAfterUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(3000)
	u := newUploader(t, srv, data, chunked(), tus.Hooks{})
	u.Pause()
	u.Pause()
	if u.State() != tus.StatePaused {
		t.Errorf("state is %v", u.State())
	}
	if _, err := u.Run(testContext(t)); err != nil {
		t.Fatal(err)
	}
	u.Pause()
	if u.State() != tus.StateComplete {
		t.Errorf("a complete upload was paused: %v", u.State())
	}
	if _, err := u.Run(testContext(t)); err != nil {
		t.Errorf("Run after the end: %v", err)
	}
	wantMethods(t, srv.Handler, "POST", "PATCH", "PATCH", "PATCH")
}

func TestPause_ResumeRequestsOffset(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(3000)
	u := newUploader(t, srv, data, chunked(), tus.Hooks{})
	trace(t, srv, u, 4) // one chunk is stored
	u.Pause()
	faults.Append(srv.Handler, u.URL(), data[1000:1700]) // by another client
	if _, err := u.Run(testContext(t)); err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, u.URL(), data)
	wantMethods(t, srv.Handler, "POST", "PATCH", "HEAD", "PATCH", "PATCH")
}

// TestPause_AfterLastByteRequestsNothing has a server that removes complete uploads, as one
// that moves them to their destination.
func TestPause_AfterLastByteRequestsNothing(t *testing.T) {
	for name, opts := range map[string]*tus.UploadOptions{
		"chunks": chunked(), "with the creation": {}, "deferred length": {ChunkSize: 1000, DeferLength: true},
	} {
		t.Run(name, func(t *testing.T) {
			srv, data := tustest.NewServer(t, nil), randomBytes(3000)
			u := newUploader(t, srv, data, opts, tus.Hooks{})
			for u.Offset() < 3000 {
				if err := u.Step(testContext(t)); err != nil {
					t.Fatal(err)
				}
			}
			u.Pause()
			wantStored(t, srv.Handler, u.URL(), data)
			srv.Forget(u.URL())
			before := len(srv.Requests())
			if res, err := u.Run(testContext(t)); err != nil || res.Offset != 3000 || len(srv.Requests()) != before {
				t.Errorf("at %d after %d requests: %v", res.Offset, len(srv.Requests())-before, err)
			}
		})
	}
	// The state of an external upload is unknown before the first HEAD.
	srv := tustest.NewServer(t, nil)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked())
	if err != nil {
		t.Fatal(err)
	}
	u := newResumer(t, srv, res.URL, nil, tus.Hooks{OnStateChange: func(u *tus.Uploader, from, to tus.State, _ error) {
		if to == tus.StateRecovering && from == tus.StateIdle {
			u.Pause()
		}
	}})
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrSourceMismatch)
}

// eachHook returns functions that set one hook to call do, by the name of the hook.
func eachHook() map[string]func(h *tus.Hooks, do func()) {
	return map[string]func(*tus.Hooks, func()){
		"BeforeRequest": func(h *tus.Hooks, do func()) { h.BeforeRequest = func(*http.Request) error { do(); return nil } },
		"AfterResponse": func(h *tus.Hooks, do func()) { h.AfterResponse = func(*http.Request, *tus.Response) { do() } },
		"OnCreated":     func(h *tus.Hooks, do func()) { h.OnCreated = func(*tus.Uploader, *tus.Created) { do() } },
		"OnStateChange": func(h *tus.Hooks, do func()) {
			h.OnStateChange = func(*tus.Uploader, tus.State, tus.State, error) { do() }
		},
		"OnProgress": func(h *tus.Hooks, do func()) { h.OnProgress = func(*tus.Uploader, tus.Progress) { do() } },
		"OnRetry":    func(h *tus.Hooks, do func()) { h.OnRetry = func(*tus.Uploader, tus.Retry) { do() } },
	}
}

func TestPause_FromEachHook(t *testing.T) {
	for name, set := range eachHook() {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(3)})
			data := randomBytes(3000)
			var u *tus.Uploader
			var hooks tus.Hooks
			left := 5
			set(&hooks, func() {
				if left > 0 {
					left--
					u.Pause()
				}
			})
			u = newUploader(t, srv, data, chunked(), hooks)
			pauses := 0
			_, err := u.Run(testContext(t))
			for ; errors.Is(err, tus.ErrPaused); pauses++ {
				if u.State() != tus.StatePaused {
					t.Fatalf("state is %v", u.State())
				}
				_, err = u.Run(testContext(t))
			}
			if err != nil || pauses == 0 {
				t.Fatalf("%d pauses: %v", pauses, err)
			}
			wantStored(t, srv.Handler, u.URL(), data)
		})
	}
}

func TestStep_PauseDuringSuccessfulStep(t *testing.T) {
	each := eachHook()
	delete(each, "OnRetry") // not called by Step
	for name, set := range each {
		t.Run(name, func(t *testing.T) {
			for nth := 1; ; nth++ { // the nth call of the hook calls Pause
				srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(3000)
				calls, opts := 0, chunked()
				var u *tus.Uploader
				set(&opts.Hooks, func() {
					if calls++; calls == nth {
						u.Pause()
					}
				})
				u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data), opts)
				if err != nil {
					t.Fatal(err)
				}
				for u.State() != tus.StateComplete {
					before := calls
					err := u.Step(testContext(t))
					if before >= nth || calls < nth || u.State() == tus.StateComplete {
						if tus.IsRetryable(err) { // the cut request may still hold the lock
							time.Sleep(10 * time.Millisecond)
						} else if err != nil {
							t.Fatal(err)
						}
						continue
					}
					wantError(t, err, tus.ErrPaused)
					if u.State() != tus.StatePaused {
						t.Errorf("state is %v after call %d", u.State(), nth)
					}
					for _, rec := range records(t, store) {
						if rec.Lease != nil {
							t.Errorf("the lease is not released after call %d", nth)
						}
					}
				}
				wantStored(t, srv.Handler, u.URL(), data)
				if calls < nth {
					if nth < 2 {
						t.Errorf("the hook was called %d times", calls)
					}
					break
				}
			}
		})
	}
}

// The upload does not run when it is paused, so the hooks run within Pause.
func TestPause_InHookOfPause(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	var u *tus.Uploader
	var pausing atomic.Bool
	var got []string
	pause := func(what string) {
		if pausing.Load() {
			got = append(got, what)
			u.Pause()
		}
	}
	client := newClient(t, srv.Endpoint(), &tus.Options{
		Store: &scripted{Store: &storage.Memory{}, put: func(_ storage.Record, next put) (storage.Record, error) {
			if pausing.Load() {
				return storage.Record{}, errors.New("disk full")
			}
			return next()
		}},
		Hooks: tus.Hooks{
			OnStateChange: func(_ *tus.Uploader, _, to tus.State, _ error) { pause(to.String()) },
			OnStoreError:  func(_ *tus.Uploader, err error) { pause(err.Error()) },
		},
	})
	data := randomBytes(10_000)
	u = created(t, client, tus.Bytes(data), chunked())
	stepTo(t, u, 3000)
	pausing.Store(true)
	done := make(chan struct{})
	go func() {
		u.Pause()
		close(done)
	}()
	select {
	case <-done:
	case <-testContext(t).Done():
		t.Fatal("Pause blocks on itself")
	}
	if u.State() != tus.StatePaused || !slices.Equal(got, []string{"paused", "tus: store of upload URLs failed: put: disk full"}) {
		t.Errorf("state is %v, hooks got %v", u.State(), got)
	}
	pausing.Store(false)
	if _, err := u.Run(testContext(t)); err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, u.URL(), data)
}

func TestRun_SecondGoroutineIsBusy(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Stall()})
		data := randomBytes(3000)
		u, err := newClient(nil).NewUploader(tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wait := run(t, u)
		synctest.Wait()
		res, err := u.Run(t.Context())
		wantError(t, err, tus.ErrBusy)
		if res == nil || res.URL != u.URL() {
			t.Errorf("result is %+v", res)
		}
		wantError(t, u.Step(t.Context()), tus.ErrBusy)
		if u.State() != tus.StateSending {
			t.Errorf("state is %v", u.State())
		}
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, u.URL(), data)
	})
}

func TestRun_ManyGoroutines(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(10)
	for range 50 {
		u := newUploader(t, srv, data, whole(), tus.Hooks{})
		var drivers sync.WaitGroup
		for range 3 {
			drivers.Go(func() {
				if res, err := u.Run(t.Context()); res == nil || err != nil && !errors.Is(err, tus.ErrBusy) {
					t.Errorf("result is %v, %v", res, err)
				}
			})
		}
		drivers.Wait()
		wantStored(t, srv.Handler, u.URL(), data)
	}
	if n := srv.Count("POST"); n != 50 {
		t.Errorf("%d uploads were created", n)
	}
}

func TestAbort(t *testing.T) {
	tests := map[string]struct {
		steps   int // before Abort
		opts    *tus.UploadOptions
		faults  []tustest.Fault
		from    tus.State
		methods []string
	}{
		"Idle":     {0, chunked(), nil, tus.StateIdle, nil},
		"Creating": {1, chunked(), nil, tus.StateCreating, nil},
		"Ready":    {2, chunked(), nil, tus.StateReady, []string{"POST", "DELETE"}},
		"Sending":  {3, chunked(), nil, tus.StateSending, []string{"POST", "DELETE"}},
		"Ready after a chunk": {4, chunked(), nil, tus.StateReady,
			[]string{"POST", "PATCH", "DELETE"}},
		"Recovering": {4, chunked(), []tustest.Fault{{Method: "PATCH", Action: tustest.CutAfter(500)}}, tus.StateRecovering,
			[]string{"POST", "PATCH", "DELETE"}},
		"Paused": {5, &tus.UploadOptions{ChunkSize: 1000, StopAt: 1000}, nil, tus.StatePaused,
			[]string{"POST", "PATCH", "DELETE"}},
		"Failed with a URL": {4, chunked(), []tustest.Fault{{Method: "PATCH", Action: tustest.Respond(403, "")}}, tus.StateFailed,
			[]string{"POST", "PATCH", "DELETE"}},
		"Failed without a URL": {2, chunked(), []tustest.Fault{{Method: "POST", Action: tustest.Respond(403, "")}}, tus.StateFailed,
			[]string{"POST"}},
		"locked for a while": {4, chunked(), []tustest.Fault{{Method: "DELETE", Times: 2, Action: tustest.Respond(423, "")}}, tus.StateReady,
			[]string{"POST", "PATCH", "DELETE", "DELETE", "DELETE"}},
		"already gone": {4, chunked(), []tustest.Fault{{Method: "DELETE", Action: tustest.LoseResponse()}}, tus.StateReady,
			[]string{"POST", "PATCH", "DELETE", "DELETE"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(test.faults...)
			u := newUploader(t, srv, randomBytes(3000), test.opts, tus.Hooks{})
			trace(t, srv, u, test.steps)
			if u.State() != test.from {
				t.Fatalf("state before is %v, want %v", u.State(), test.from)
			}
			if err := u.Abort(testContext(t)); err != nil {
				t.Fatal(err)
			}
			if u.State() != tus.StateAborted {
				t.Errorf("state is %v", u.State())
			}
			for _, up := range srv.Uploads() {
				if !up.Terminated {
					t.Errorf("upload %s is still on the server", up.ID)
				}
			}
			if err := u.Step(testContext(t)); err == nil {
				t.Error("Step after Abort succeeded")
			}
			if res, err := u.Run(testContext(t)); err == nil || res == nil {
				t.Errorf("Run after Abort: %+v, %v", res, err)
			}
			wantMethods(t, srv.Handler, test.methods...)
		})
	}
}

func TestAbort_StopsRunningUpload(t *testing.T) {
	for place, faults := range places() {
		t.Run(place, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				h.Inject(faults...)
				u, err := newClient(nil).NewUploader(tus.Bytes(randomBytes(3000)), optionsFor(place))
				if err != nil {
					t.Fatal(err)
				}
				wait := run(t, u)
				synctest.Wait()
				if err := u.Abort(t.Context()); err != nil {
					t.Fatal(err)
				}
				wantError(t, wait(), tus.ErrPaused)
				if u.State() != tus.StateAborted {
					t.Errorf("state is %v", u.State())
				}
				for _, up := range h.Uploads() {
					if !up.Terminated {
						t.Errorf("upload %s is still on the server", up.ID)
					}
				}
			})
		})
	}
}

func TestAbort_DoesNotWaitForWholeUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Stall()})
	for range 300 {
		u := newUploader(t, srv, randomBytes(3000), chunked(), tus.Hooks{})
		wait := run(t, u)
		ctx, cancel := context.WithTimeout(testContext(t), 10*time.Second)
		err := u.Abort(ctx)
		cancel()
		if err != nil {
			u.Pause()
			wait()
			t.Fatal(err)
		}
		if err := wait(); err == nil || u.State() != tus.StateAborted {
			t.Fatalf("state is %v, Run returned %v", u.State(), err)
		}
	}
}

func TestAbort_RefusedLeavesUploadUsable(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("termination")})
	data := randomBytes(3000)
	u := newUploader(t, srv, data, chunked(), tus.Hooks{})
	trace(t, srv, u, 4)
	var e *tus.Error
	if err := u.Abort(testContext(t)); !errors.As(err, &e) || e.StatusCode != 405 || e.Method != "DELETE" {
		t.Fatalf("error is %v", err)
	}
	if u.State() != tus.StatePaused {
		t.Errorf("state is %v", u.State())
	}
	if _, err := u.Run(testContext(t)); err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, u.URL(), data)
}

func TestAbort_EndsWithContext(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	u := newUploader(t, srv, randomBytes(3000), chunked(), tus.Hooks{})
	trace(t, srv, u, 4)
	ctx, cancel := context.WithCancel(t.Context())
	srv.Inject(tustest.Fault{Method: "DELETE", Action: func(_ http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
		cancel()
		<-r.Context().Done() // a response could be faster than the end of ctx
	}})
	wantError(t, u.Abort(ctx), context.Canceled)
	if u.State().Final() {
		t.Errorf("state is %v", u.State())
	}
}

func TestState_FinalDoesNotChange(t *testing.T) {
	for name, faults := range map[string][]tustest.Fault{
		"complete": nil,
		"failed":   {{Method: "POST", Action: tustest.Respond(403, "")}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(faults...)
			u := newUploader(t, srv, randomBytes(1000), whole(), tus.Hooks{})
			u.Run(testContext(t))
			if u.State().String() != name {
				t.Fatalf("state is %v", u.State())
			}
			requests, stats := len(srv.Requests()), u.Stats()
			for range 3 {
				u.Pause()
				err := u.Step(testContext(t))
				res, runErr := u.Run(testContext(t))
				if wantErr := name != "complete"; (err != nil) != wantErr || (runErr != nil) != wantErr || res == nil {
					t.Errorf("Step: %v, Run: %v", err, runErr)
				}
			}
			if u.State().String() != name || len(srv.Requests()) != requests {
				t.Errorf("state is %v after %d more requests", u.State(), len(srv.Requests())-requests)
			}
			if got := u.Stats(); fmt.Sprint(got.Requests) != fmt.Sprint(stats.Requests) || got.Sent != stats.Sent {
				t.Errorf("stats went from %+v to %+v", stats, got)
			}
		})
	}
}

func TestState_String(t *testing.T) {
	final := []tus.State{tus.StateComplete, tus.StateFailed, tus.StateAborted}
	for state, name := range map[tus.State]string{
		tus.StateIdle: "idle", tus.StateCreating: "creating", tus.StateReady: "ready", tus.StateSending: "sending",
		tus.StateRecovering: "recovering", tus.StateFinishing: "finishing", tus.StatePaused: "paused",
		tus.StateComplete: "complete", tus.StateFailed: "failed", tus.StateAborted: "aborted",
		-1: "State(-1)", 99: "State(99)",
	} {
		if state.String() != name || state.Final() != slices.Contains(final, state) {
			t.Errorf("%d is %q, final: %v", int(state), state, state.Final())
		}
	}
	if zero := *new(tus.State); zero != tus.StateIdle {
		t.Errorf("the zero value is %v", zero)
	}
}

func TestUploader_GettersFromAnyGoroutine(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 10, Times: 3, Action: tustest.CutAfter(300)})
	data := randomBytes(100_000)
	u := newUploader(t, srv, data, chunked(), tus.Hooks{})
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 8 {
		readers.Go(func() {
			var last int64
			for {
				select {
				case <-done:
					return
				case <-time.After(100 * time.Microsecond): // busy loops would starve the upload
				}
				acknowledged := u.Stats().Uploaded
				if acknowledged < last {
					t.Errorf("acknowledged bytes fell from %d to %d", last, acknowledged)
				}
				last = acknowledged
				if offset := u.Offset(); offset > 0 && u.URL() == "" {
					t.Errorf("offset %d without a URL in state %v", offset, u.State())
				}
			}
		})
	}
	_, err := u.Run(testContext(t))
	close(done)
	readers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, u.URL(), data)
}

// table has the transitions in the documentation of State, except those to Paused, Failed
// and Aborted, which start in every state that is not final.
var table = map[tus.State][]tus.State{
	tus.StateIdle:       {tus.StateCreating, tus.StateRecovering},
	tus.StateCreating:   {tus.StateReady},
	tus.StateReady:      {tus.StateSending, tus.StateFinishing},
	tus.StateSending:    {tus.StateReady, tus.StateRecovering, tus.StateCreating},
	tus.StateRecovering: {tus.StateReady, tus.StateCreating},
	tus.StateFinishing:  {tus.StateComplete},
	tus.StatePaused:     {tus.StateRecovering, tus.StateIdle, tus.StateFinishing},
}

func TestState_TransitionsMatchDocumentedTable(t *testing.T) {
	type scenario struct {
		opts   *tus.UploadOptions
		faults []tustest.Fault
		drive  func(ctx context.Context, u *tus.Uploader)
	}
	always := func(method string, status int) []tustest.Fault {
		return []tustest.Fault{{Method: method, Times: -1, Action: tustest.Respond(status, "")}}
	}
	once := func(actions ...any) (faults []tustest.Fault) {
		for i := 0; i < len(actions); i += 2 {
			faults = append(faults, tustest.Fault{Method: actions[i].(string), Action: actions[i+1].(tustest.Action)})
		}
		return faults
	}
	pauseAfter := func(steps int) func(context.Context, *tus.Uploader) {
		return func(ctx context.Context, u *tus.Uploader) {
			for range steps {
				u.Step(ctx)
			}
			u.Pause()
			u.Run(ctx)
		}
	}
	scenarios := map[string]scenario{
		"plain":               {opts: chunked()},
		"creation fails once": {opts: chunked(), faults: once("POST", tustest.Respond(503, ""))},
		"creation refused":    {opts: chunked(), faults: always("POST", 403)},
		"chunk lost":          {opts: chunked(), faults: once("PATCH", tustest.CutAfter(10))},
		"chunk refused":       {opts: chunked(), faults: always("PATCH", 403)},
		"last chunk refused":  {opts: whole(), faults: always("PATCH", 422)},
		"HEAD refused":        {opts: chunked(), faults: append(once("PATCH", tustest.CutAfter(10)), always("HEAD", 403)...)},
		"forgotten":           {opts: chunked(), faults: once("PATCH", goneWith(404))},
		"forgotten at HEAD":   {opts: chunked(), faults: once("PATCH", tustest.CutBefore(), "HEAD", goneWith(404))},
		"budget used up":      {opts: chunked(), faults: always("PATCH", 500)},
		"stop":                {opts: &tus.UploadOptions{StopAt: 1200}, drive: func(ctx context.Context, u *tus.Uploader) { u.Run(ctx); u.Run(ctx) }},
		"URL of nothing":      {},
		"context ended": {opts: chunked(), drive: func(ctx context.Context, u *tus.Uploader) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			u.Run(ctx)
		}},
	}
	for steps := range 9 {
		scenarios[fmt.Sprintf("paused after %d steps", steps)] = scenario{opts: whole(), drive: pauseAfter(steps)}
		scenarios[fmt.Sprintf("aborted after %d steps", steps)] = scenario{opts: whole(), drive: func(ctx context.Context, u *tus.Uploader) {
			for range min(steps, 5) { // later states are final
				u.Step(ctx)
			}
			u.Abort(ctx)
			u.Run(ctx)
		}}
	}
	type transition struct {
		from, to tus.State
		err      error
	}
	seen := map[[2]tus.State]bool{}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(s.faults...)
			var events []transition
			hooks := tus.Hooks{OnStateChange: func(_ *tus.Uploader, from, to tus.State, err error) {
				events = append(events, transition{from, to, err})
			}}
			var u *tus.Uploader
			if name == "URL of nothing" {
				u = newResumer(t, srv, srv.Endpoint()+"nothing", randomBytes(3000), hooks)
			} else {
				u = newUploader(t, srv, randomBytes(3000), s.opts, hooks)
			}
			if s.drive != nil {
				s.drive(testContext(t), u)
			} else {
				u.Run(testContext(t))
			}
			at := tus.StateIdle
			for _, e := range events {
				if e.from != at {
					t.Errorf("event %+v, but the state is %v", e, at)
				}
				at = e.to
				seen[[2]tus.State{e.from, e.to}] = true
				anyTime := e.to == tus.StatePaused || e.to == tus.StateFailed || e.to == tus.StateAborted
				if !slices.Contains(table[e.from], e.to) && !(anyTime && !e.from.Final()) {
					t.Errorf("transition from %v to %v is not in the table", e.from, e.to)
				}
				if (e.to == tus.StateFailed || e.to == tus.StatePaused) && e.err == nil {
					t.Errorf("no reason for the transition from %v to %v", e.from, e.to)
				}
			}
			if at != u.State() {
				t.Errorf("state is %v, but the last event led to %v", u.State(), at)
			}
		})
	}
	for from, row := range table {
		for _, to := range row {
			if !seen[[2]tus.State{from, to}] {
				t.Errorf("no scenario led from %v to %v", from, to)
			}
		}
	}
}

func TestResult_IsNeverNil(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Times: -1, Action: tustest.Respond(403, "")})
	client := newClient(t, srv.Endpoint(), nil)
	ctx := testContext(t)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	data := tus.Bytes(randomBytes(10))
	calls := map[string]func() (*tus.Result, error){
		"UploadFile, missing":     func() (*tus.Result, error) { return client.UploadFile(ctx, "/nonexistent", nil) },
		"UploadFile, bad options": func() (*tus.Result, error) { return client.UploadFile(ctx, "x", &tus.UploadOptions{ChunkSize: -1}) },
		"Upload, no source":       func() (*tus.Result, error) { return client.Upload(ctx, nil, nil) },
		"Upload, refused":         func() (*tus.Result, error) { return client.Upload(ctx, data, nil) },
		"Upload, context ended":   func() (*tus.Result, error) { return client.Upload(ended, data, nil) },
		"Resume, no URL":          func() (*tus.Result, error) { return client.Resume(ctx, "", data, nil) },
		"Resume, bad URL":         func() (*tus.Result, error) { return client.Resume(ctx, "::", data, nil) },
		"Resume, refused":         func() (*tus.Result, error) { return client.Resume(ctx, srv.Endpoint()+"1", data, nil) },
	}
	for name, call := range calls {
		if res, err := call(); res == nil || err == nil {
			t.Errorf("%s: result %v, error %v", name, res, err)
		}
	}
}

// Another goroutine calls Pause just when the Step ends.
func TestPause_AtEndOfStepIsNotLost(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{Capabilities: &tus.Capabilities{}})
	for i := range 20_000 {
		u, err := client.NewUploader(tus.Bytes([]byte("x")), nil)
		if err != nil {
			t.Fatal(err)
		}
		var pausing sync.WaitGroup
		pausing.Go(func() {
			for range i % 200 {
				_ = u.State()
			}
			u.Pause()
		})
		err = u.Step(context.Background()) // idle to creating, without a request
		pausing.Wait()
		if u.State() == tus.StateCreating { // idle means that Pause came before the Step
			t.Fatalf("round %d: after Pause the state is creating, and the Step returned %v", i, err)
		}
	}
}

func TestPanic_OfHookLeavesUploaderUsable(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(3000)
	opts := chunked()
	panicked := false
	opts.Hooks.OnStateChange = func(u *tus.Uploader, _, to tus.State, _ error) {
		switch {
		case to == tus.StateCreating && !panicked:
			u.Pause()
		case to == tus.StatePaused && !panicked:
			panicked = true
			panic("a hook")
		}
	}
	u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = u.Step(testContext(t))
	}()
	if _, err := u.Run(testContext(t)); err != nil || !panicked {
		t.Errorf("after a panic (%v): %v", panicked, err)
	}
	wantStored(t, srv.Handler, u.URL(), data)
}
