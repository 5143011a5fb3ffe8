package tus_test

import (
	"context"
	"errors"
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

func TestPause_FromOtherGoroutine(t *testing.T) {
	for place, faults := range places() {
		t.Run(place, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				h.Inject(faults...)
				data := randomBytes(3000)
				u, err := newClient(nil).NewUploader(tus.Bytes(data), optionsFor(place))
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() {
					_, err := u.Run(t.Context())
					done <- err
				}()
				synctest.Wait()
				begin := time.Now()
				u.Pause()
				wantError(t, <-done, tus.ErrPaused)
				if u.State() != tus.StatePaused || time.Since(begin) != 0 {
					t.Errorf("state is %v after %v", u.State(), time.Since(begin))
				}
				res, err := u.Run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, h, res.URL, data)
			})
		})
	}
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
