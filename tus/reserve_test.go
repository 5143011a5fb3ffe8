package tus_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// held returns options with a policy.
func held(policy tus.HeldPolicy) *tus.UploadOptions {
	opts := chunked()
	opts.Held = policy
	return opts
}

// slowCreation delays each creation by ten seconds.
func slowCreation(h *tustest.Handler) {
	h.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.Delay(10 * time.Second)})
}

func TestReserve_FailStartsOneUpload(t *testing.T) {
	for name, opts := range map[string]*tus.UploadOptions{
		"chunks":      {ChunkSize: 1000},
		"parts":       {ChunkSize: 1000, Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{50_000}}},
		"one request": {},
	} {
		t.Run(name, func(t *testing.T) {
			withFleet(t, func(t *testing.T, fl *fleet) {
				slowCreation(fl.h)
				opts.Held = tus.HeldFail
				for i := range 3 {
					worker := fmt.Sprint(i)
					fl.start(worker, tus.Options{Store: fl.machine(worker, nil)}, opts)
				}
				fl.working.Wait()
				complete := 0
				for worker, end := range fl.ends {
					if end.err == nil {
						complete++
						wantStored(t, fl.h, end.res.URL, fl.data)
						continue
					}
					if !isHeld(end.err) || !strings.Contains(end.err.Error(), "not created yet") || end.at > 0 {
						t.Errorf("%s: %v after %v", worker, end.err, end.at)
					}
				}
				if complete != 1 {
					t.Errorf("%d uploads are complete", complete)
				}
				wantEmptyStore(t, fl.shared)
			})
		})
	}
}

func TestReserve_WaitStartsSecondUpload(t *testing.T) {
	for name, process := range map[string]string{"another machine": "", "this process": "own"} {
		t.Run(name, func(t *testing.T) {
			withFleet(t, func(t *testing.T, fl *fleet) {
				slowCreation(fl.h)
				machine := func(name string) storage.Store {
					if process == "own" {
						return fl.shared
					}
					return fl.machine(name, nil)
				}
				fl.start("a", tus.Options{Store: machine("a")}, chunked())
				time.Sleep(time.Second)
				fl.start("b", tus.Options{Store: machine("b")}, chunked())
				time.Sleep(15 * time.Second)
				n := len(fl.h.Uploads()) // a renews its lease after 10 s and stores the upload URL
				if want := map[string]int{"": 1, "own": 2}[process]; n != want {
					t.Errorf("%d uploads, want %d", n, want)
				}
				fl.working.Wait()
				fl.wantOneWriter()
				for worker, end := range fl.ends {
					if end.err != nil {
						t.Fatalf("%s: %v", worker, end.err)
					}
					wantStored(t, fl.h, end.res.URL, fl.data)
				}
				if n := len(fl.h.Uploads()); n != 2 {
					t.Errorf("%d uploads", n)
				}
				wantEmptyStore(t, fl.shared)
			})
		})
	}
}

func TestReserve_BeginStoresNothingBeforeCreation(t *testing.T) {
	for name, test := range map[string]struct {
		opts *tus.UploadOptions
		size int
		want int
	}{
		"HeldBegin":             {held(tus.HeldBegin), 10_000, 0},
		"HeldWait, one request": {&tus.UploadOptions{}, 1000, 0},
		"HeldWait, several":     {held(tus.HeldWait), 10_000, 1},
		"HeldFail, one request": {&tus.UploadOptions{Held: tus.HeldFail}, 1000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			srv, memory := tustest.NewServer(t, nil), &storage.Memory{}
			stored := -1
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: memory, Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
				if r.Method == http.MethodPost {
					stored = len(records(t, memory))
				}
				return nil
			}}})
			if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(test.size)), test.opts); err != nil || stored != test.want {
				t.Errorf("%d records before the creation, want %d: %v", stored, test.want, err)
			}
			wantEmptyStore(t, memory)
		})
	}
}

// The reservation takes so long that another worker has created the upload, sent a part of it
// and released it.
func TestReserve_UploadReleasedMeanwhileIsResumed(t *testing.T) {
	for _, policy := range []tus.HeldPolicy{tus.HeldWait, tus.HeldFail} {
		withFleet(t, func(t *testing.T, fl *fleet) {
			var stored atomic.Bool
			fl.start("b", tus.Options{RequireStore: true, Store: fl.machine("b", func(op string) error {
				if op == "put" && !stored.Swap(true) {
					time.Sleep(10 * time.Second)
				}
				return nil
			})}, held(policy))
			time.Sleep(time.Second)
			part := held(policy)
			part.StopAt = 3000
			fl.start("a", tus.Options{RequireStore: true, Store: fl.machine("a", nil)}, part)
			fl.working.Wait()
			wantError(t, fl.end("a").err, tus.ErrPaused)
			b := fl.end("b")
			if b.err != nil || b.res.Stats.ResumedFrom != 3000 {
				t.Fatalf("b: %+v, %v", b.res, b.err)
			}
			wantStored(t, fl.h, b.res.URL, fl.data)
			if n := len(fl.h.Uploads()); n != 1 {
				t.Errorf("%d uploads", n)
			}
			wantEmptyStore(t, fl.shared)
		})
	}
}

// leftReservation stores the record that a worker leaves if it crashes during the creation.
func (fl *fleet) leftReservation(process string, lasts time.Duration) {
	fl.t.Helper()
	u, err := fl.newClient(&tus.Options{Store: fl.shared}).NewUploader(tus.Bytes(fl.data), held(tus.HeldFail))
	if err != nil {
		fl.t.Fatal(err)
	}
	for u.State() != tus.StateCreating {
		if err := u.Step(context.Background()); err != nil {
			fl.t.Fatal(err)
		}
	}
	hold(fl.t, fl.shared, storage.Lease{Holder: "crashed", Process: process, Until: time.Now().Add(lasts)})
}

func TestReserve_LeftReservationEndsWithItsLease(t *testing.T) {
	for name, test := range map[string]struct {
		process string
		lasts   time.Duration
		policy  tus.HeldPolicy
		wait    time.Duration
	}{
		"lease runs":     {foreignProcess, 40 * time.Second, tus.HeldWait, 40 * time.Second},
		"lease is over":  {foreignProcess, -time.Second, tus.HeldWait, 0},
		"over, HeldFail": {foreignProcess, -time.Second, tus.HeldFail, 0},
		"HeldBegin":      {foreignProcess, 40 * time.Second, tus.HeldBegin, 0},
	} {
		t.Run(name, func(t *testing.T) {
			withFleet(t, func(t *testing.T, fl *fleet) {
				fl.leftReservation(test.process, test.lasts)
				fl.data = fl.data[:100_000]
				fl.start("b", tus.Options{Store: fl.machine("b", nil)}, held(test.policy))
				fl.working.Wait()
				b := fl.end("b")
				if b.err != nil || b.at < test.wait+200*time.Second || b.at > test.wait+202*time.Second {
					t.Fatalf("%+v, %v after %v", b.res, b.err, b.at)
				}
				wantStored(t, fl.h, b.res.URL, fl.data)
				if test.policy != tus.HeldBegin {
					wantEmptyStore(t, fl.shared)
				}
			})
		})
	}
}

// The source may never be uploaded again, so the record expires.
func TestReserve_LeftReservationExpires(t *testing.T) {
	withFleet(t, func(t *testing.T, fl *fleet) {
		fl.leftReservation(foreignProcess, 40*time.Second)
		for after, want := range map[time.Duration]int{30 * time.Second: 0} {
			if n, err := storage.DeleteExpired(t.Context(), fl.shared, time.Now().Add(after)); n != want || err != nil {
				t.Errorf("%d deleted, %v", n, err)
			}
		}
		if n, err := storage.DeleteExpired(t.Context(), fl.shared, time.Now().Add(2*time.Minute)); n != 1 || err != nil {
			t.Errorf("%d deleted, %v", n, err)
		}
	})
}

func TestReserve_FailedCreationLeavesNothing(t *testing.T) {
	for name, end := range map[string]func(u *tus.Uploader, cancel func()) tustest.Action{
		"refused": func(*tus.Uploader, func()) tustest.Action { return tustest.Respond(403, "") },
		"paused": func(u *tus.Uploader, _ func()) tustest.Action {
			return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) { u.Pause(); tustest.Stall()(w, r, h) }
		},
		"context": func(_ *tus.Uploader, cancel func()) tustest.Action {
			return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) { cancel(); tustest.Stall()(w, r, h) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv, memory, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: memory}).NewUploader(tus.Bytes(data), chunked())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			srv.Inject(tustest.Fault{Method: "POST", Action: end(u, cancel)})
			if _, err := u.Run(ctx); err == nil {
				t.Fatal("upload succeeded")
			}
			wantEmptyStore(t, memory)
			if u.State() != tus.StatePaused {
				return
			}
			res, err := u.Run(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			wantEmptyStore(t, memory)
		})
	}
}

// If the ID could not be reserved and another upload has it by then, the upload is stored
// with another ID.
func TestReserve_TakenIDIsReplaced(t *testing.T) {
	withFleet(t, func(t *testing.T, fl *fleet) {
		slowCreation(fl.h)
		fl.start("a", tus.Options{Store: fl.machine("a", fl.failing("", 0, 5*time.Second))}, chunked())
		time.Sleep(7 * time.Second) // before the retry of a
		fl.start("b", tus.Options{Store: fl.machine("b", nil)}, held(tus.HeldFail))
		time.Sleep(20 * time.Second)
		if all := records(t, fl.shared); len(all) != 2 || all[0].UploadURL == all[1].UploadURL || all[0].UploadURL == "" || all[1].UploadURL == "" {
			t.Errorf("records are %+v", all)
		}
		fl.working.Wait()
		for worker, end := range fl.ends {
			if end.err != nil {
				t.Fatalf("%s: %v", worker, end.err)
			}
			wantStored(t, fl.h, end.res.URL, fl.data)
		}
		wantEmptyStore(t, fl.shared)
	})
}

// Another session completes a paused upload and deletes its record. A third session stores
// a record with the same ID and revision.
func TestReserve_RecordOfLaterUploadIsNotMistaken(t *testing.T) {
	srv, memory, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: memory})
	stopped := chunked()
	stopped.StopAt = 3000
	first, err := client.NewUploader(tus.Bytes(data), stopped)
	if err != nil {
		t.Fatal(err)
	}
	_, err = first.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	old := records(t, memory)[0]
	if _, err := client.Upload(testContext(t), tus.Bytes(data), chunked()); err != nil {
		t.Fatal(err)
	}
	wantEmptyStore(t, memory)
	third := created(t, client, tus.Bytes(data), chunked())
	for records(t, memory)[0].Revision < old.Revision {
		rec := records(t, memory)[0]
		if _, err := memory.Put(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	later := records(t, memory)[0]
	if later.ID != old.ID || later.Revision != old.Revision {
		t.Fatalf("records are %+v and %+v", old, later)
	}
	_, err = first.Run(testContext(t))
	wantError(t, err, tus.ErrLeaseLost)
	if left := records(t, memory); len(left) != 1 || left[0].UploadURL != third.URL() {
		t.Errorf("records are %+v", left)
	}
}
