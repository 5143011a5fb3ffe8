package tus_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestStopOnError_EndsBatchAtFirstError(t *testing.T) {
	t.Run("one at a time", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		jobs, drawn := bytesJobs(10), 0
		jobs[3].Source = nil
		var errs []error
		for r := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), notifyDrawn(jobs, func(n int) { drawn = n }), &tus.BatchOptions{Concurrency: 1, StopOnError: true}) {
			errs = append(errs, r.Err)
		}
		if len(errs) != 4 || drawn != 4 || errs[2] != nil || !errors.Is(errs[3], tus.ErrInvalidInput) {
			t.Errorf("%d jobs were drawn, errors are %v", drawn, errs)
		}
	})
	t.Run("running uploads are paused", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		var healthy atomic.Bool
		stalled := newRequestBarrier(4)
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			u, _ := h.Upload(r.URL.Path)
			switch {
			case healthy.Load():
				h.Serve(w, r)
			case u.Length == 102:
				stalled.wait(r.Context())
				tustest.Respond(403, "")(w, r, h)
			default:
				go stalled.wait(r.Context())
				faults.StallAfter(10)(w, r, h)
			}
		}})
		jobs, drawn := bytesJobs(10), 0
		for i := range jobs {
			jobs[i].Options = whole()
		}
		causes, paused := 0, []tus.BatchResult(nil)
		client := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()})
		for r := range client.UploadAll(testContext(t), notifyDrawn(jobs, func(n int) { drawn = n }), &tus.BatchOptions{StopOnError: true}) {
			switch {
			case errors.Is(r.Err, tus.ErrUnauthorized):
				causes++
			case errors.Is(r.Err, context.Canceled):
				paused = append(paused, r)
			default:
				t.Errorf("result is %+v", r)
			}
		}
		if causes != 1 || len(paused) != 3 || drawn != 4 {
			t.Errorf("%d failed, %d paused, %d drawn", causes, len(paused), drawn)
		}
		healthy.Store(true)
		for _, r := range paused {
			data := r.Job.Tag.([]byte)
			res, err := client.Resume(testContext(t), r.Result.URL, tus.Bytes(data), nil)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
		}
	})
}

// earlyExits are ways to leave the loop over a batch before its end.
var earlyExits = map[string]func(results iter.Seq[tus.BatchResult]){
	"break": func(results iter.Seq[tus.BatchResult]) {
		for range results {
			break
		}
	},
	"panic": func(results iter.Seq[tus.BatchResult]) {
		defer func() {
			if recover() != "out of here" {
				panic("another panic")
			}
		}()
		for range results {
			panic("out of here")
		}
	},
	"iter.Pull and stop": func(results iter.Seq[tus.BatchResult]) {
		next, stop := iter.Pull(results)
		defer stop()
		next()
	},
}

func TestUploadAll_EarlyExitPausesUploads(t *testing.T) {
	for name, leave := range earlyExits {
		// synctest fails if a goroutine is left.
		bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
			h.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Times: -1, Action: faults.StallAfter(10)})
			jobs, drawn, cleaned := bytesJobs(50), 0, false
			for i := range jobs {
				jobs[i].Options = whole()
			}
			begin := time.Now()
			leave(newClient(nil).UploadAll(t.Context(), func(yield func(tus.Job) bool) {
				defer func() { cleaned = true }()
				notifyDrawn(jobs, func(n int) { drawn = n })(yield)
			}, nil))
			if drawn > 5 || !cleaned {
				t.Errorf("%s: %d jobs were drawn, iterator returned: %v", name, drawn, cleaned)
			}
			if d := time.Since(begin); d > 0 {
				t.Errorf("%s: took %v", name, d)
			}
		})
	}
}

func TestUploadAll_PanicOfJobsReachesCaller(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Times: -1, Action: faults.StallAfter(10)})
		jobs := bytesJobs(5)
		for i := range jobs {
			jobs[i].Options = whole()
		}
		begin := time.Now()
		defer func() {
			if got := recover(); got != "no more jobs" || time.Since(begin) > 0 {
				t.Errorf("recovered %v after %v", got, time.Since(begin))
			}
		}()
		for range newClient(nil).UploadAll(t.Context(), notifyDrawn(jobs, func(n int) {
			if n == 3 {
				panic("no more jobs")
			}
		}), nil) {
		}
		t.Error("the loop ended without a panic")
	})
}

func TestUploadAll_EndsWithContext(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Times: -1, Action: faults.StallAfter(10)})
		jobs, drawn := bytesJobs(50), 0
		for i := range jobs {
			jobs[i].Options = whole()
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		begin := time.Now()
		complete, ended := 0, 0
		for r := range newClient(nil).UploadAll(ctx, notifyDrawn(jobs, func(n int) { drawn = n }), nil) {
			if r.Err == nil {
				if complete++; complete == 2 {
					go func() {
						synctest.Wait() // all others are stalled
						cancel(errUnplugged)
					}()
				}
				continue
			}
			ended++
			if !errors.Is(r.Err, context.Canceled) || !errors.Is(r.Err, errUnplugged) {
				t.Errorf("error is %v", r.Err)
			}
		}
		if complete != 2 || ended != 4 || drawn != 6 {
			t.Errorf("%d complete, %d ended, %d drawn", complete, ended, drawn)
		}
		if d := time.Since(begin); d > 0 {
			t.Errorf("took %v", d)
		}
	})
	srv := tustest.NewServer(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	drawn := 0
	for r := range newClient(t, srv.Endpoint(), nil).UploadAll(ctx, notifyDrawn(bytesJobs(3), func(n int) { drawn = n }), nil) {
		t.Errorf("result %+v", r)
	}
	if drawn != 0 || len(srv.Requests()) != 0 {
		t.Errorf("%d jobs were drawn", drawn)
	}
}

func TestStopOnError_PausesStartedJobs(t *testing.T) {
	srv, all := tustest.NewServer(t, nil), &started{}
	running := make(chan struct{})
	srv.Inject(
		tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			close(running)
			tustest.Stall()(w, r, h)
		}},
		tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if r.Header.Get("Upload-Length") != "3000" {
				<-running
				tustest.Respond(http.StatusForbidden, "")(w, r, h)
				return
			}
			h.Serve(w, r)
		}},
	)
	data := randomBytes(3000)
	batch := slices.Values([]tus.Job{
		{Source: tus.Bytes(data), Options: chunked(), Tag: 0}, {Source: tus.Bytes(data[:2000]), Options: chunked(), Tag: 1},
	})
	errs := map[int]error{}
	for r := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), batch, &tus.BatchOptions{StopOnError: true, OnStart: all.keep}) {
		errs[r.Job.Tag.(int)] = r.Err
	}
	wantError(t, errs[0], context.Canceled)
	wantError(t, errs[1], tus.ErrUnauthorized)
	u := all.of(0)
	if _, err := u.Run(testContext(t)); err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, u.URL(), data)
}

func TestStopOnError_AbortedJobIsNoFailure(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(100)
	inHook := make(chan struct{})
	opts := &tus.UploadOptions{Hooks: tus.Hooks{OnStateChange: func(_ *tus.Uploader, _, to tus.State, _ error) {
		if to == tus.StateAborted {
			close(inHook)
			time.Sleep(50 * time.Millisecond) // the job starts meanwhile
		}
	}}}
	jobs := slices.Values([]tus.Job{{Source: tus.Bytes(data), Options: opts, Tag: 0}, {Source: tus.Bytes(data), Tag: 1}})
	var aborting sync.WaitGroup
	got := map[any]error{}
	for r := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), jobs, &tus.BatchOptions{
		Concurrency: 1, StopOnError: true,
		OnStart: func(job tus.Job, u *tus.Uploader) {
			if job.Tag == 0 {
				aborting.Go(func() {
					if err := u.Abort(context.Background()); err != nil {
						t.Error(err)
					}
				})
				<-inHook // Abort comes before the upload starts
			}
		},
	}) {
		got[r.Job.Tag] = r.Err
	}
	aborting.Wait()
	if !errors.Is(got[0], tus.ErrAborted) && !errors.Is(got[0], tus.ErrPaused) {
		t.Errorf("the aborted job ended with %v", got[0])
	}
	if err, ran := got[1]; !ran || err != nil {
		t.Errorf("the other job: ran %v, %v", ran, err)
	}
}
