package tus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// named returns options of a client that names itself in its requests.
func named(store storage.Store, name string) *tus.Options {
	return &tus.Options{Store: store, Header: http.Header{processHeader: {name}}}
}

func TestLease_TwoUploadersNeverShareURL(t *testing.T) {
	data := randomBytes(10_000)
	for name, open := range stores(t) {
		for _, interrupted := range []int64{0, 3000} {
			t.Run(fmt.Sprint(name, "/", interrupted, " bytes stored"), func(t *testing.T) {
				srv, store, seen := tustest.NewServer(t, nil), open(t), &writers{}
				if interrupted > 0 {
					stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), interrupted)
				}
				srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
					seen.note(r)
					h.Serve(w, r)
				}})
				const uploaders = 8
				results := make([]*tus.Result, uploaders)
				var group sync.WaitGroup
				for i := range uploaders {
					group.Go(func() {
						res, err := newClient(t, srv.Endpoint(), named(store, fmt.Sprint(i))).Upload(testContext(t), tus.Bytes(data), chunked())
						if err != nil {
							t.Error(err)
						}
						results[i] = res
					})
				}
				group.Wait()
				resumed := 0
				for _, res := range results {
					wantStored(t, srv.Handler, res.URL, data)
					if res.Stats.ResumedFrom > 0 {
						resumed++
					}
				}
				for _, up := range srv.Uploads() {
					if n := seen.of("/files/" + up.ID); n != 1 {
						t.Errorf("%d uploaders wrote to %s", n, up.ID)
					}
				}
				if interrupted > 0 && resumed != 1 {
					t.Errorf("%d resumed the upload", resumed)
				}
				if n := bytesReceived(srv); n != uploaders*10_000 {
					t.Errorf("%d bytes were received", n)
				}
				wantEmptyStore(t, store)
			})
		}
	}
}

func TestLease_ReleasedHoweverSessionEnds(t *testing.T) {
	data := randomBytes(10_000)
	for name, end := range map[string]func(u *tus.Uploader, cancel func(), w http.ResponseWriter, r *http.Request, h *tustest.Handler){
		"paused": func(u *tus.Uploader, _ func(), w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			u.Pause()
			tustest.Stall()(w, r, h)
		},
		"context": func(_ *tus.Uploader, cancel func(), w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			cancel()
			tustest.Stall()(w, r, h)
		},
		"refused": func(_ *tus.Uploader, _ func(), w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			tustest.Respond(403, "")(w, r, h)
		},
		"invalid response": func(_ *tus.Uploader, _ func(), w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			tustest.SetHeader("Upload-Offset", "77777")(w, r, h)
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data), chunked())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				end(u, cancel, w, r, h)
			}})
			if _, err := u.Run(ctx); err == nil {
				t.Fatal("upload succeeded")
			}
			if all := records(t, store); len(all) != 1 || all[0].Lease != nil || all[0].UploadURL != u.URL() {
				t.Errorf("the store holds %+v", all)
			}
		})
	}
}

// wantLease fails unless every record of a store has a lease with a minimum duration.
func wantLease(t *testing.T, store storage.Store, least time.Duration) {
	t.Helper()
	for _, rec := range records(t, store) {
		if rec.Lease == nil || time.Until(rec.Lease.Until) < least {
			t.Errorf("lease at %v is %+v", time.Now(), rec.Lease)
		}
	}
}

func TestLease_RenewedWhileUploadRuns(t *testing.T) {
	for name, test := range map[string]struct {
		size, chunk int
		faults      []tustest.Fault
	}{
		"many requests":    {500_000, 1000, []tustest.Fault{{Method: "PATCH", Times: -1, Action: tustest.Delay(25 * time.Second)}}},
		"one long request": {10_000_000, 0, []tustest.Fault{{Method: "PATCH", Action: tustest.Delay(3 * time.Hour)}}},
		"long waits": {10_000, 1000, []tustest.Fault{
			{Method: "PATCH", Skip: 3, Action: tustest.Respond(503, "", "Retry-After", "240")},
			{Method: "HEAD", Times: 6, Action: tustest.Respond(503, "", "Retry-After", "240")},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				store, data, began := &storage.Memory{}, randomBytes(test.size), time.Now()
				h.Inject(test.faults...)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				looks := 0
				var watching sync.WaitGroup
				watching.Go(func() {
					for {
						select {
						case <-ctx.Done():
							return
						case <-time.After(7 * time.Second):
							looks++
							wantLease(t, store, 20*time.Second)
						}
					}
				})
				res, err := newClient(&tus.Options{Store: store, StallTimeout: -1}).
					Upload(context.Background(), tus.Bytes(data), &tus.UploadOptions{ChunkSize: int64(test.chunk)})
				if err != nil {
					t.Fatal(err)
				}
				cancel()
				watching.Wait()
				wantStored(t, h, res.URL, data)
				if time.Since(began) < 20*time.Minute || looks < 100 {
					t.Errorf("it took %v, %d checks", time.Since(began), looks)
				}
				wantEmptyStore(t, store)
			})
		})
	}
}

// A clock that is set back lengthens a lease.
func TestLease_RenewedWhenClockIsSetBack(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		memory := &storage.Memory{}
		var puts atomic.Int64
		store := &scripted{Store: memory}
		store.put = func(rec storage.Record, next put) (storage.Record, error) {
			if puts.Add(1) == 1 { // as if the upload started an hour later
				lease := *rec.Lease
				lease.Until = lease.Until.Add(time.Hour)
				rec.Lease = &lease
				return memory.Put(context.Background(), rec)
			}
			return next()
		}
		data := randomBytes(10_000)
		h.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Delay(10 * time.Minute)})
		u, err := newClient(&tus.Options{Store: store, StallTimeout: -1}).NewUploader(tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := u.Run(context.Background())
			done <- err
		}()
		for range 9 {
			time.Sleep(time.Minute)
			if lease := records(t, memory)[0].Lease; lease == nil || time.Until(lease.Until) > time.Minute || time.Until(lease.Until) < 20*time.Second {
				t.Errorf("lease at %v is %+v", time.Now(), lease)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, u.URL(), data)
	})
}

func TestLease_LostLeaseStopsUpload(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store := &storage.Memory{}
		var requests atomic.Int64 // a cut request may still be handled
		h.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if requests.Add(1) == 1 {
				// An uploader on another machine acquires the lease; its clock is ahead.
				rec := records(t, store)[0]
				rec.Lease = &storage.Lease{Holder: "another", Process: "other", Until: time.Now().Add(time.Minute)}
				if _, err := store.Put(context.Background(), rec); err != nil {
					t.Error(err)
				}
			}
			tustest.Delay(20*time.Second)(w, r, h)
		}})
		u, err := newClient(&tus.Options{Store: store}).NewUploader(tus.Bytes(randomBytes(100_000)), chunked())
		if err != nil {
			t.Fatal(err)
		}
		_, err = u.Run(context.Background())
		wantError(t, err, tus.ErrLeaseLost)
		if u.State() != tus.StateFailed || requests.Load() > 3 {
			t.Errorf("state %v after %d more requests", u.State(), requests.Load())
		}
		if rec := records(t, store)[0]; rec.Lease == nil || rec.Lease.Holder != "another" {
			t.Errorf("record of the other is %+v", rec)
		}
		synctest.Wait() // for cut requests
		before := len(h.Requests())
		if _, err := u.Run(context.Background()); err == nil || len(h.Requests()) != before {
			t.Errorf("Run after it: %v, %d requests", err, len(h.Requests())-before)
		}
	})
}

func TestLease_StepAfterTakeoverFails(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store := &storage.Memory{}
		u := created(t, newClient(&tus.Options{Store: store}), tus.Bytes(randomBytes(10_000)), chunked())
		stepTo(t, u, 3000)
		time.Sleep(10 * time.Minute) // no Step, no other uploader
		if err := u.Step(context.Background()); err != nil {
			t.Fatal(err)
		}
		wantLease(t, store, 30*time.Second)
		time.Sleep(10 * time.Minute)
		rec := records(t, store)[0]
		rec.Lease = &storage.Lease{Holder: "another", Process: "other", Until: time.Now().Add(time.Minute)}
		if _, err := store.Put(context.Background(), rec); err != nil {
			t.Fatal(err)
		}
		wantError(t, u.Step(context.Background()), tus.ErrLeaseLost)
	})
}

// The context ends when the lease is due for renewal.
func TestLease_ReleasedWhenContextEndsAfterBreak(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store, data := &storage.Memory{}, randomBytes(10_000)
		u := created(t, newClient(&tus.Options{Store: store}), tus.Bytes(data), chunked())
		stepTo(t, u, 3000)
		time.Sleep(30 * time.Second)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := u.Run(ctx)
		wantError(t, err, context.Canceled)
		if u.State() != tus.StatePaused {
			t.Errorf("state is %v", u.State())
		}
		res, err := newClient(&tus.Options{Store: store}).Upload(context.Background(), tus.Bytes(data), chunked())
		if err != nil || res.URL != u.URL() || res.Stats.ResumedFrom != 3000 {
			t.Errorf("the next session: %+v, %v", res, err)
		}
	})
}

func TestLease_IdleUploadIsResumedAfterMinute(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store, data := &storage.Memory{}, randomBytes(10_000)
		left := created(t, newClient(&tus.Options{Store: store}), tus.Bytes(data), chunked())
		stepTo(t, left, 3000)

		time.Sleep(50 * time.Second)
		early, err := newClient(&tus.Options{Store: store}).Upload(context.Background(), tus.Bytes(data), chunked())
		if err != nil || early.URL == left.URL() {
			t.Errorf("early: %s, %v", early.URL, err)
		}
		time.Sleep(11 * time.Second)
		late, err := newClient(&tus.Options{Store: store}).Upload(context.Background(), tus.Bytes(data), chunked())
		if err != nil || late.URL != left.URL() || late.Stats.ResumedFrom != 3000 {
			t.Errorf("late: %+v, %v", late, err)
		}
		synctest.Wait() // for cut requests
		before := len(h.Requests())
		wantError(t, left.Step(context.Background()), tus.ErrLeaseLost)
		if n := len(h.Requests()) - before; n != 0 {
			t.Errorf("%d requests of the uploader that lost the lease", n)
		}
		wantStored(t, h, early.URL, data)
		wantStored(t, h, late.URL, data)
		wantEmptyStore(t, store)
	})
}

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

func TestLease_SlowLookupRenewsLease(t *testing.T) {
	// One stored upload is leased while HEAD of another is retried beyond the end of that
	// lease. Then a third uploader starts.
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store, data, seen := &storage.Memory{}, randomBytes(10_000), &writers{}
		var left []*tus.Uploader
		for range 2 {
			u := created(t, newClient(&tus.Options{Store: store}), tus.Bytes(data), chunked())
			left = append(left, u)
		}
		for i, u := range left {
			stepTo(t, u, int64(2000*(i+1)))
			u.Pause()
		}
		h.Inject(tustest.Fault{Method: "HEAD", Skip: 1, Times: 5, Action: tustest.Respond(503, "", "Retry-After", "120")},
			tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				seen.note(r)
				tustest.Delay(20*time.Second)(w, r, h)
			}})
		var uploading sync.WaitGroup
		upload := func(who string) {
			uploading.Go(func() {
				res, err := newClient(named(store, who)).Upload(context.Background(), tus.Bytes(data), chunked())
				if err != nil {
					t.Errorf("%s: %v", who, err)
					return
				}
				wantStored(t, h, res.URL, data)
			})
		}
		upload("first")
		time.Sleep(90 * time.Second)
		upload("second")
		uploading.Wait()
		for _, up := range h.Uploads() {
			if n := seen.of("/files/" + up.ID); n > 1 {
				t.Errorf("%d uploaders wrote to %s", n, up.ID)
			}
		}
		for _, rec := range records(t, store) {
			if rec.Lease != nil && strings.Contains(rec.UploadURL, "/files/") && time.Until(rec.Lease.Until) > 0 {
				t.Errorf("a lease is left: %+v", rec)
			}
		}
	})
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
