package tus_test

import (
	"context"
	"fmt"
	"net/http"
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
