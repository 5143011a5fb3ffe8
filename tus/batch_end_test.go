package tus_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestUploadAll_CanceledOnErrorPausesJobs(t *testing.T) {
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
	jobs := bytesJobs(4)
	for i := range jobs {
		jobs[i].Options = whole()
	}
	causes, paused := 0, []*tus.Result(nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()})
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	for r, err := range client.UploadAll(ctx, slices.Values(jobs), 0) {
		switch {
		case errors.Is(err, tus.ErrUnauthorized):
			causes++
			cancel()
		case errors.Is(err, context.Canceled):
			paused = append(paused, r)
		default:
			t.Errorf("result is %+v", r)
		}
	}
	if causes != 1 || len(paused) != 3 {
		t.Errorf("%d refused, %d paused", causes, len(paused))
	}
	healthy.Store(true)
	for _, r := range paused {
		data := r.Job.Tag.([]byte)
		res, err := client.Resume(testContext(t), r.URL, tus.Bytes(data), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
}

// earlyExits are ways to leave the loop over a batch before its end.
var earlyExits = map[string]func(results iter.Seq2[*tus.Result, error]){
	"break": func(results iter.Seq2[*tus.Result, error]) {
		for range results {
			break
		}
	},
	"panic": func(results iter.Seq2[*tus.Result, error]) {
		defer func() {
			if recover() != "out of here" {
				panic("another panic")
			}
		}()
		for range results {
			panic("out of here")
		}
	},
	"iter.Pull and stop": func(results iter.Seq2[*tus.Result, error]) {
		next, stop := iter.Pull2(results)
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
			}, 0))
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
		}), 0) {
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
		for _, err := range newClient(nil).UploadAll(ctx, notifyDrawn(jobs, func(n int) { drawn = n }), 0) {
			if err == nil {
				if complete++; complete == 2 {
					go func() {
						synctest.Wait() // all others are stalled
						cancel(errUnplugged)
					}()
				}
				continue
			}
			ended++
			if !errors.Is(err, context.Canceled) || !errors.Is(err, errUnplugged) {
				t.Errorf("error is %v", err)
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
	for r := range newClient(t, srv.Endpoint(), nil).UploadAll(ctx, notifyDrawn(bytesJobs(3), func(n int) { drawn = n }), 0) {
		t.Errorf("result %+v", r)
	}
	if drawn != 0 || len(srv.Requests()) != 0 {
		t.Errorf("%d jobs were drawn", drawn)
	}
}
