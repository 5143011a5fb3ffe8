package tus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

var errForAMoment = errors.New("temporary store error")

// failingOnce returns a store that fails one Put: the first for which due is true, or the
// first if due is nil. If stored is set, the record is stored.
func failingOnce(store storage.Store, stored bool, due func() bool) *scripted {
	var failed atomic.Bool
	return &scripted{Store: store, put: func(_ storage.Record, next put) (storage.Record, error) {
		if due != nil && !due() || !failed.CompareAndSwap(false, true) {
			return next()
		}
		if stored {
			_, _ = next()
		}
		return storage.Record{}, errForAMoment
	}}
}

// retryEverything retries every failure.
func retryEverything() tus.RetryPolicy {
	retry := retryOften()
	retry.ShouldRetry = func(error, int) bool { return true }
	return retry
}

// A single Put fails. Another client starts while the first one uploads, after the end of
// any lease that was not renewed.
func TestStore_OneFailureNeverMakesTwoWriters(t *testing.T) {
	troubles := map[string]func(rec storage.Record, released bool, next put) (failed bool, err error){
		"first Put, stored": func(_ storage.Record, _ bool, next put) (bool, error) {
			next()
			return true, errForAMoment
		},
		"release": func(rec storage.Record, _ bool, _ put) (bool, error) {
			return rec.Lease == nil, errForAMoment
		},
		"second acquire": func(rec storage.Record, released bool, _ put) (bool, error) {
			return released && rec.Lease != nil, errForAMoment
		},
	}
	ways := map[string]func() *tus.UploadOptions{
		"whole": chunked,
		"parts": func() *tus.UploadOptions {
			return &tus.UploadOptions{ChunkSize: 1000, Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{5000}}}
		},
	}
	for name, trouble := range troubles {
		for way, opts := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
					h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(25 * time.Second)})
					memory, data := &storage.Memory{}, randomBytes(10_000)
					var mu sync.Mutex
					var released, failed bool
					store := &scripted{Store: memory, put: func(rec storage.Record, next put) (storage.Record, error) {
						mu.Lock()
						defer mu.Unlock()
						if !failed {
							var err error
							if failed, err = trouble(rec, released, next); failed {
								return storage.Record{}, err
							}
						}
						released = released || rec.Lease == nil
						return next()
					}}
					u, err := newClient(&tus.Options{Store: store}).NewUploader(tus.Bytes(data), opts())
					if err != nil {
						t.Fatal(err)
					}
					time.AfterFunc(80*time.Second, u.Pause)
					_, err = u.Run(context.Background())
					wantError(t, err, tus.ErrPaused)
					var first *tus.Result
					var running sync.WaitGroup
					running.Go(func() { first, err = u.Run(context.Background()) })
					time.Sleep(62 * time.Second)
					second, errSecond := newClient(&tus.Options{Store: memory}).Upload(context.Background(), tus.Bytes(data), opts())
					running.Wait()
					if err != nil || errSecond != nil || !failed {
						t.Fatalf("errors are %v and %v, the store failed: %v", err, errSecond, failed)
					}
					if second.Stats.ResumedFrom > 0 || second.URL == first.URL {
						t.Error("the second resumed the upload of the first while it ran")
					}
					wantStored(t, h, first.URL, data)
					wantStored(t, h, second.URL, data)
					wantEmptyStore(t, memory)
				})
			})
		}
	}
}

// The store fails to record the request for the final upload, and the response to that
// request is lost.
func TestFinalUpload_RequestIsRecordedOnceStoreWorks(t *testing.T) {
	data := randomBytes(unequalSize)
	srv, memory := finalLast(t), &storage.Memory{}
	var failed atomic.Bool
	store := &scripted{Store: memory, put: func(rec storage.Record, next put) (storage.Record, error) {
		if rec.Finishing && failed.CompareAndSwap(false, true) {
			return storage.Record{}, errForAMoment
		}
		return next()
	}}
	ctx, cancel := context.WithCancel(testContext(t))
	onFinal(srv, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Serve(httptest.NewRecorder(), r) // created, but the client gets no response
		cancel()
		<-r.Context().Done()
	})
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(ctx, tus.Bytes(data), unequal())
	wantError(t, err, context.Canceled)
	if left := records(t, memory); len(left) != 1 || !left[0].Finishing {
		t.Errorf("records are %+v", left)
	}
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: memory, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), unequal())
	if err != nil {
		t.Fatal(err)
	}
	wantFinals(t, srv, res, data, true)
}

// The response takes so long that the lease is due for renewal, which fails once.
func TestLease_FailedRenewalOfCandidateIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		data := randomBytes(10_000)
		memory := leftAt5000(t, newClient, data)
		h.Inject(tustest.Fault{Method: "HEAD", Action: tustest.Delay(25 * time.Second)})
		puts := 0
		store := failingOnce(memory, false, func() bool { puts++; return puts == 2 })
		res, err := newClient(&tus.Options{Store: store, RequireStore: true, Retry: retryEverything()}).Upload(context.Background(), tus.Bytes(data), chunked())
		if err != nil || res.Stats.ResumedFrom != 5000 {
			t.Fatalf("started over: %+v, %v", res.Stats, err)
		}
		wantStored(t, h, res.URL, data)
	})
}

func TestStore_FailedPutCreatesNoSecondUpload(t *testing.T) {
	srv, memory, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(3000)
	store := failingOnce(memory, false, nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, RequireStore: true, Retry: retryEverything()})
	res, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if n := srv.Count("POST"); n != 1 {
		t.Errorf("%d uploads were created", n)
	}
	wantEmptyStore(t, memory)
}

// leftAt5000 returns a store with an upload of which the server has 5,000 bytes.
func leftAt5000(t *testing.T, client func(*tus.Options) *tus.Client, data []byte) *storage.Memory {
	t.Helper()
	memory, opts := &storage.Memory{}, chunked()
	opts.StopAt = 5000
	_, err := client(&tus.Options{Store: memory}).Upload(context.Background(), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrPaused)
	return memory
}

func TestLease_FailedAcquireThatWasStoredIsReleased(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(10_000)
	client := func(opts *tus.Options) *tus.Client { return newClient(t, srv.Endpoint(), opts) }
	memory := leftAt5000(t, client, data)
	store := failingOnce(memory, true, nil)
	_, err := client(&tus.Options{Store: store, RequireStore: true}).Upload(testContext(t), tus.Bytes(data), chunked())
	wantError(t, err, tus.ErrStore)
	res, err := client(&tus.Options{Store: memory}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.Stats.ResumedFrom != 5000 || srv.Count("POST") != 1 {
		t.Errorf("started over: %+v, %v", res.Stats, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// The lease is renewed between the last response and its use.
func TestLease_PauseDuringRenewalReleasesLease(t *testing.T) {
	for name, completed := range map[string]bool{"no other uploader": false, "completed by other": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				data := randomBytes(10_000)
				memory := leftAt5000(t, newClient, data)
				h.Inject(tustest.Fault{Method: "HEAD", Action: tustest.Delay(25 * time.Second)})
				ctx, cancel := context.WithCancel(context.Background())
				puts := 0
				store := &scripted{Store: memory, put: func(rec storage.Record, next put) (storage.Record, error) {
					if puts++; puts == 2 {
						cancel()
						return storage.Record{}, context.Canceled
					}
					return next()
				}}
				u, err := newClient(&tus.Options{Store: store}).NewUploader(tus.Bytes(data), chunked())
				if err != nil {
					t.Fatal(err)
				}
				_, err = u.Run(ctx)
				wantError(t, err, context.Canceled)
				if left := records(t, memory); len(left) != 1 || left[0].Lease != nil {
					t.Errorf("records are %+v", left)
				}
				if completed {
					if _, err := newClient(&tus.Options{Store: memory}).Upload(context.Background(), tus.Bytes(data), chunked()); err != nil {
						t.Fatal(err)
					}
				}
				res, err := u.Run(context.Background())
				if err != nil || !completed && res.Stats.ResumedFrom != 5000 {
					t.Fatalf("result is %+v, %v", res, err)
				}
				wantStored(t, h, res.URL, data)
				wantEmptyStore(t, memory)
			})
		})
	}
}

// An error of a hook, such as a token with a line break, does not drop the record.
func TestStore_HookErrorKeepsStoredUpload(t *testing.T) {
	for name, hook := range map[string]func(*http.Request) error{
		"bad header":      func(r *http.Request) error { r.Header.Set("Authorization", "Bearer token\n"); return nil },
		"hook error":      func(*http.Request) error { return fmt.Errorf("%w: no token configured", tus.ErrInvalidInput) },
		"of other upload": func(*http.Request) error { return &tus.Error{Method: "HEAD", StatusCode: 404, Err: tus.ErrUploadGone} },
	} {
		for _, when := range []string{"HEAD", "PATCH"} {
			t.Run(name+", "+when, func(t *testing.T) {
				srv, data := tustest.NewServer(t, nil), randomBytes(10_000)
				client := func(opts *tus.Options) *tus.Client { return newClient(t, srv.Endpoint(), opts) }
				memory := leftAt5000(t, client, data)
				res, err := client(&tus.Options{Store: memory, Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
					if r.Method == "HEAD" && when == "PATCH" {
						return nil
					}
					return hook(r)
				}}}).Upload(testContext(t), tus.Bytes(data), chunked())
				if err == nil || res.Stats.Restarts != 0 {
					t.Errorf("result is %+v, %v", res, err)
				}
				res, err = client(&tus.Options{Store: memory}).Upload(testContext(t), tus.Bytes(data), chunked())
				if err != nil || res.Stats.ResumedFrom != 5000 || srv.Count("POST") != 1 {
					t.Errorf("started over: %+v, %v", res.Stats, err)
				}
				wantStored(t, srv.Handler, res.URL, data)
			})
		}
	}
}

func TestStore_FailedPutOfReplacedPartIsRepeated(t *testing.T) {
	srv, memory, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(unequalSize)
	var lost atomic.Bool
	srv.Inject(tustest.Fault{Method: "POST", Skip: 4, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		lost.Store(true)
		tustest.LoseResponse()(w, r, h)
	}})
	store := failingOnce(memory, false, lost.Load)
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, RequireStore: true, Retry: retryEverything()}).Upload(testContext(t), tus.Bytes(data), unequal())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	wantEmptyStore(t, memory)
}

func TestStore_FailedPutOfNewPartsIsRepeated(t *testing.T) {
	srv, memory, data := finalLast(t), &storage.Memory{}, randomBytes(unequalSize)
	store := failingOnce(memory, false, nil)
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, RequireStore: true, Retry: retryEverything()}).Upload(testContext(t), tus.Bytes(data), unequal())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if n := srv.Count("POST"); n != 5 {
		t.Errorf("%d creations, want those of four parts and the final upload", n)
	}
	wantEmptyStore(t, memory)
}

func TestLease_FailedAcquireThatWasStoredIsRepeated(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(10_000)
	client := func(opts *tus.Options) *tus.Client { return newClient(t, srv.Endpoint(), opts) }
	memory := leftAt5000(t, client, data)
	store := failingOnce(memory, true, nil)
	res, err := client(&tus.Options{Store: store, RequireStore: true, Retry: retryEverything()}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.Stats.ResumedFrom != 5000 || srv.Count("POST") != 1 {
		t.Errorf("started over: %+v, %v, %d creations", res.Stats, err, srv.Count("POST"))
	}
	if left := records(t, memory); len(left) != 0 {
		t.Errorf("%d records left", len(left))
	}
}

// If the record cannot be read after a conflict, the lease is not lost. The conflict may
// be with an own Put that failed and stored the record.
func TestLease_UnreadableConflictIsNoLostLease(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(10_000)
	store := failingOnce(&storage.Memory{}, true, nil)
	var finds atomic.Int64
	store.find = func(next func() ([]storage.Record, error)) ([]storage.Record, error) {
		if finds.Add(1) == 2 { // the first looks for stored uploads
			return nil, errForAMoment
		}
		return next()
	}
	opts := chunked()
	opts.StopAt = 3000
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	res := resumePaused(t, u)
	wantStored(t, srv.Handler, res.URL, data)
	if finds.Load() < 2 || srv.Count("POST") != 1 {
		t.Errorf("%d finds, %d creations", finds.Load(), srv.Count("POST"))
	}
}
