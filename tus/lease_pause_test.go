package tus_test

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestLease_PausedUploadResumedByOtherIsLost(t *testing.T) {
	data := randomBytes(10_000)
	for name, parallel := range map[string]bool{"whole": false, "parts": true} {
		t.Run(name, func(t *testing.T) {
			srv, store, seen := finalLast(t), &storage.Memory{}, &writers{}
			options := func() *tus.UploadOptions {
				if parallel {
					return &tus.UploadOptions{ChunkSize: 500, Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{5000}}}
				}
				return chunked()
			}
			var first *tus.Uploader
			srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				seen.note(r)
				if first != nil && r.Header.Get(processHeader) == "first" && r.Header.Get("Upload-Offset") == "3000" {
					first.Pause()
				}
				h.Serve(w, r)
			}})
			opts, counting := named(store, "first"), atomic.Int64{}
			opts.Hooks.BeforeRequest = func(*http.Request) error { counting.Add(1); return nil }
			first, err := newClient(t, srv.Endpoint(), opts).NewUploader(tus.Bytes(data), options())
			if err != nil {
				t.Fatal(err)
			}
			_, err = first.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)

			patient := named(store, "second")
			patient.Retry = retryOften()
			second, err := newClient(t, srv.Endpoint(), patient).NewUploader(tus.Bytes(data), options())
			if err != nil {
				t.Fatal(err)
			}
			for second.State() != tus.StateReady {
				switch err := second.Step(testContext(t)); {
				case tus.IsRetryable(err): // the cut request may still hold the lock
					time.Sleep(10 * time.Millisecond)
				case err != nil:
					t.Fatal(err)
				}
			}
			if second.Stats().ResumedFrom == 0 {
				t.Fatal("the second started over")
			}
			before := counting.Load() // a cut request may be handled late
			_, err = first.Run(testContext(t))
			wantError(t, err, tus.ErrLeaseLost)
			if n := counting.Load() - before; n != 0 {
				t.Errorf("%d requests of the uploader that lost the lease", n)
			}
			res, err := second.Run(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			wantEmptyStore(t, store)
		})
	}
}

func TestLease_PausedUploadCompletedByOtherIsNotResent(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	opts := chunked()
	opts.StopAt = 3000
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	first, err := client.NewUploader(tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = first.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	second, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || second.URL != first.URL() {
		t.Fatalf("second result is %+v, %v", second, err)
	}
	if _, err := first.Run(testContext(t)); err != nil && !errors.Is(err, tus.ErrLeaseLost) {
		t.Errorf("error is %v", err)
	}
	wantStored(t, srv.Handler, first.URL(), data)
	if n := bytesReceived(srv); n != 10_000 || srv.Count("POST") != 1 {
		t.Errorf("%d bytes in %d uploads", n, srv.Count("POST"))
	}
	wantEmptyStore(t, store)
}

// leaseAndRelease runs a session that acquires the lease, is refused by the server, and
// releases the lease.
func leaseAndRelease(t *testing.T, srv *tustest.Server, store storage.Store, data []byte, opts *tus.UploadOptions) {
	t.Helper()
	srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.Respond(403, "")})
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrUnauthorized)
}

func TestLease_PausedUploadReleasedByOtherContinues(t *testing.T) {
	for name, then := range map[string]func(*testing.T, *tustest.Server, *tus.Uploader){
		"paused again": func(t *testing.T, srv *tustest.Server, u *tus.Uploader) {
			u.Pause() // a second Pause
			if _, err := u.Run(testContext(t)); err != nil {
				t.Fatal(err)
			}
			if n := bytesReceived(srv); n != 10_000 || srv.Count("POST") != 1 {
				t.Errorf("%d bytes in %d uploads", n, srv.Count("POST"))
			}
		},
		"aborted": func(t *testing.T, srv *tustest.Server, u *tus.Uploader) {
			if err := u.Abort(testContext(t)); err != nil {
				t.Fatal(err)
			}
			if up, _ := srv.Upload(u.URL()); !up.Terminated || u.State() != tus.StateAborted {
				t.Errorf("state is %v, the upload %+v", u.State(), up)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store, data := finalLast(t), &storage.Memory{}, randomBytes(10_000)
			opts := chunked()
			opts.StopAt = 5000
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)
			leaseAndRelease(t, srv, store, data, chunked())
			then(t, srv, u)
			wantEmptyStore(t, store)
		})
	}
}

func TestLease_AbortLeavesUploadOfOtherHolder(t *testing.T) {
	data := randomBytes(10_000)
	for name, parallel := range map[string]int{"whole": 0, "parts": 2} {
		for _, completed := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				srv, store := finalLast(t), &storage.Memory{}
				options := func() *tus.UploadOptions {
					o := chunked()
					if o.Parallel = parallel; parallel > 0 {
						o.ParallelOptions.PartBoundaries = []int64{5000}
					}
					return o
				}
				client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
				begun := func() *tus.Uploader {
					u, err := client.NewUploader(tus.Bytes(data), options())
					if err != nil {
						t.Fatal(err)
					}
					for u.State() != tus.StateReady {
						if err := u.Step(testContext(t)); err != nil {
							t.Fatal(err)
						}
					}
					return u
				}
				first := begun()
				first.Pause()
				second := begun()
				if completed {
					if _, err := second.Run(testContext(t)); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 {
					wantError(t, first.Abort(testContext(t)), tus.ErrLeaseLost)
					if first.State() != tus.StateFailed || srv.Count("DELETE") > 0 {
						t.Errorf("state is %v after %d requests to delete", first.State(), srv.Count("DELETE"))
					}
				}
				res, err := second.Run(testContext(t))
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				wantEmptyStore(t, store)
			})
		}
	}
}

// Another session acquires the paused upload, and releases it when the server refuses it.
func TestLease_PausedTransferReleasedByOtherContinues(t *testing.T) {
	for name, opts := range map[string]*tus.UploadOptions{"single": chunked(), "parallel": unequal()} {
		t.Run(name, func(t *testing.T) {
			srv, store, data := finalLast(t), &storage.Memory{}, randomBytes(unequalSize)
			var u *tus.Uploader
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				u.Pause()
				tustest.Stall()(w, r, h)
			}})
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)
			leaseAndRelease(t, srv, store, data, opts)
			res, err := u.Run(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if n := len(records(t, store)); n != 0 || bytesReceived(srv) > unequalSize+4*1000 {
				t.Errorf("%d records are left, %d bytes were sent", n, bytesReceived(srv))
			}
		})
	}
}
