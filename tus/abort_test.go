package tus_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

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

// TestAbort_OfJobClosesSource aborts jobs whose uploads return at the same time. The race
// detector finds a source that both close.
func TestAbort_OfJobClosesSource(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	const jobs = 20
	aborted := make(chan error, jobs)
	opts := chunked()
	opts.Hooks.OnStateChange = func(u *tus.Uploader, _, to tus.State, _ error) {
		if to == tus.StateSending && u.Offset() == 0 {
			go func() { aborted <- u.Abort(testContext(t)) }()
			<-time.After(time.Millisecond)
		}
	}
	job := func() tus.Job {
		return tus.Job{Source: tus.Reader(bytes.NewReader(randomBytes(100_000))), Options: opts}
	}
	batch := func(yield func(tus.Job) bool) {
		for n := 0; n < jobs && yield(job()); n++ {
		}
	}
	for _, err := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), batch, 0) {
		wantError(t, err, tus.ErrPaused)
	}
	for range jobs {
		if err := receive(t, aborted); err != nil {
			t.Error(err)
		}
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

func TestAbort_DropsRecord(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	opts := chunked()
	opts.StopAt = 3000
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(randomBytes(10_000)), opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	if err := u.Abort(testContext(t)); err != nil {
		t.Fatal(err)
	}
	wantEmptyStore(t, store)
	if up, _ := srv.Upload(u.URL()); !up.Terminated {
		t.Error("the upload is still on the server")
	}
}
