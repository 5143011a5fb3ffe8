package tus_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

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
			if puts.Add(1) == 1 { // the clock was an hour later
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
