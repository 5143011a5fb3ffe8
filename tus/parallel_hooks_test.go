package tus_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestHooks_OfPartsRunOneAtATime(t *testing.T) {
	for kind, srv := range concatServers(t) {
		srv.Inject(
			tustest.Fault{Method: "PATCH", Skip: 4, Times: 3, Action: tustest.CutAfter(100)},
			tustest.Fault{Method: "PATCH", Skip: 8, Times: 1, Action: vanishWith(404)})
		calls := map[string]int{} // not locked, for the race detector
		var inside atomic.Int64
		hook := func(name string) {
			if inside.Add(1) != 1 {
				t.Errorf("%s: %s runs while another hook does", kind, name)
			}
			for range 10 { // give other hooks time to start
				runtime.Gosched()
			}
			calls[name]++
			inside.Add(-1)
		}
		opts := unequal()
		opts.ChunkSize = 20
		opts.Hooks = tus.Hooks{
			BeforeRequest: func(*http.Request) error { hook("BeforeRequest"); return nil },
			AfterResponse: func(*http.Request, *tus.Response) { hook("AfterResponse") },
			OnCreated:     func(*tus.Uploader, *tus.Created) { hook("OnCreated") },
			OnStateChange: func(*tus.Uploader, tus.State, tus.State, error) { hook("OnStateChange") },
			OnProgress:    func(*tus.Uploader, tus.Progress) { hook("OnProgress") },
			OnRetry:       func(*tus.Uploader, tus.Retry) { hook("OnRetry") },
		}
		data := randomBytes(unequalSize)
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}, Retry: retryOften()})
		res, err := client.Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if len(calls) != 6 || calls["BeforeRequest"] != len(srv.Requests()) || calls["OnCreated"] != len(srv.Uploads()) {
			t.Errorf("%s: hooks ran %v times, for %d requests", kind, calls, len(srv.Requests()))
		}
	}
}

// flakyStore fails each Put while broken is set, and closes refused at the first.
type flakyStore struct {
	storage.Memory
	broken  atomic.Bool
	refused chan struct{}
	once    sync.Once
}

func (s *flakyStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	if !s.broken.Load() {
		return s.Memory.Put(ctx, rec)
	}
	s.once.Do(func() { close(s.refused) })
	return rec, errUnplugged
}

func TestOnStoreError_NeverRunsBesideOtherHook(t *testing.T) {
	for _, parallel := range []int{0, 2} {
		bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
			store := &flakyStore{refused: make(chan struct{})}
			var inside, reported atomic.Int64
			enter := func() (leave func()) {
				if inside.Add(1) != 1 {
					t.Error("two hooks run at the same time")
				}
				return func() { inside.Add(-1) }
			}
			opts := inParts(parallel)
			opts.ChunkSize = 500
			opts.Hooks.BeforeRequest = func(r *http.Request) error {
				defer enter()()
				if r.Method == "PATCH" && !store.broken.Swap(true) {
					<-store.refused // by the renewal of the lease in another goroutine
					for range 1000 {
						runtime.Gosched()
					}
				}
				return nil
			}
			opts.Hooks.OnStoreError = func(*tus.Uploader, error) { enter()(); reported.Add(1) }
			data := randomBytes(4000)
			// With one connection, only one part at a time reaches the hook.
			res, err := newClient(&tus.Options{Store: store, StallTimeout: -1, MaxConnections: 1}).Upload(t.Context(), tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, h, res.URL, data)
			if reported.Load() == 0 {
				t.Error("OnStoreError was not called")
			}
		})
	}
}

func TestHooks_MayPauseParallelUpload(t *testing.T) {
	for kind, srv := range concatServers(t) {
		var u *tus.Uploader
		opts := unequal()
		once := sync.OnceFunc(func() { u.Pause() })
		opts.Hooks.OnProgress = func(u *tus.Uploader, p tus.Progress) {
			if p.Acknowledged >= 2000 && p.Acknowledged == u.Offset() {
				once()
			}
		}
		data := randomBytes(unequalSize)
		u, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()}).NewUploader(tus.Bytes(data), opts)
		if err != nil {
			t.Fatal(err)
		}
		_, err = u.Run(testContext(t))
		wantError(t, err, tus.ErrPaused)
		res, err := u.Run(testContext(t))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
	}
}

func TestUnauthorized_HookRenewsTokenOfEachPart(t *testing.T) {
	for kind, srv := range concatServers(t) {
		srv.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			// A token is valid for five requests.
			if r.Method != "OPTIONS" && len(h.Requests())/5 != len(r.Header.Get("X-Token")) {
				tustest.Respond(401, "")(w, r, h)
				return
			}
			h.Serve(w, r)
		}})
		data := randomBytes(2000)
		opts := &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 500}, ChunkSize: 500}
		client := newClient(t, srv.Endpoint(), &tus.Options{MaxConnections: 1, Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
			// The request is the next in the log, unless a request of another part
			// comes first. Then it is refused once.
			r.Header.Set("X-Token", strings.Repeat("x", (len(srv.Requests())+1)/5))
			return nil
		}}})
		res, err := client.Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
	}
}

func TestAbort_DeletesPartsAndFinal(t *testing.T) {
	for kind, srv := range concatServers(t) {
		for _, p := range phases {
			srv, store := restarted(t, srv), &storage.Memory{}
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).NewUploader(tus.Bytes(randomBytes(unequalSize)), unequal())
			if err != nil {
				t.Fatal(err)
			}
			reached := make(chan struct{})
			p.inject(srv, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				close(reached)
				tustest.Stall()(w, r, h)
			})
			ran := make(chan error)
			go func() { _, err := u.Run(testContext(t)); ran <- err }()
			<-reached
			var aborted sync.WaitGroup
			aborted.Go(func() {
				if err := u.Abort(testContext(t)); err != nil {
					t.Errorf("%s/%s: %v", kind, p.name, err)
				}
			})
			wantError(t, <-ran, tus.ErrPaused)
			aborted.Wait()
			if u.State() != tus.StateAborted {
				t.Errorf("%s/%s: state is %v", kind, p.name, u.State())
			}
			known := 0
			for _, up := range srv.Uploads() {
				if up.Terminated {
					known++
				}
			}
			// The client does not know the URL of a creation without a response.
			if p.method == "PATCH" && known != len(srv.Uploads()) || p.method != "POST" && known < 4 {
				t.Errorf("%s/%s: %d of %d uploads were deleted", kind, p.name, known, len(srv.Uploads()))
			}
			wantNothingKept(t, store)
			if _, err := u.Run(testContext(t)); err == nil {
				t.Errorf("%s/%s: Run continues after Abort", kind, p.name)
			}
		}
	}
}

func TestParallel_ChangedSourceMakesNoFinal(t *testing.T) {
	grow := func(path string) error {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString("more")
		return err
	}
	changes := map[string]func(path string) error{
		"truncated": func(path string) error { return os.Truncate(path, 100) },
		"emptied":   func(path string) error { return os.Truncate(path, 0) },
		"grown":     grow,
		"rewritten": func(path string) error {
			if err := os.WriteFile(path, make([]byte, unequalSize), 0o600); err != nil {
				return err
			}
			return os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0))
		},
		"replaced": func(path string) error {
			if err := os.WriteFile(path+".new", make([]byte, unequalSize), 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
	}
	// The number of acknowledged chunks before the change. Parallel parts may be complete
	// before the last four responses arrive.
	moments := map[string]int{
		"before the first byte": 0, "after half": 9, "before the last chunk": 17, "after the last chunk": 18, "before the final": 19,
	}
	for name, change := range changes {
		for moment, responses := range moments {
			for kind, srv := range concatServers(t) {
				t.Run(name+"/"+moment+"/"+kind, func(t *testing.T) {
					path, store := filepath.Join(t.TempDir(), "file"), &storage.Memory{}
					if err := os.WriteFile(path, randomBytes(unequalSize), 0o600); err != nil {
						t.Fatal(err)
					}
					made := sync.OnceFunc(func() {
						if err := change(path); err != nil {
							t.Error(err)
						}
					})
					opts, patches := unequal(), 0
					opts.Hooks.BeforeRequest = func(r *http.Request) error {
						if r.Method == "PATCH" && responses == 0 {
							made()
						}
						return nil
					}
					opts.Hooks.AfterResponse = func(r *http.Request, _ *tus.Response) {
						if r.Method != "PATCH" {
							return
						}
						if patches++; patches == responses {
							made()
						}
					}
					opts.Hooks.OnStateChange = func(_ *tus.Uploader, _, to tus.State, _ error) {
						if to == tus.StateConcatenating && patches == 18 {
							made()
						}
					}
					res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).UploadFile(testContext(t), path, opts)
					wantError(t, err, tus.ErrSourceChanged)
					if n := len(finals(srv.Handler)); n != 0 {
						t.Errorf("server has %d final uploads, one at %s", n, res.URL)
					}
					wantNothingKept(t, store)
				})
			}
		}
	}
}

// sizedSource has a variable size, and neither time nor version.
type sizedSource struct {
	data []byte
	size atomic.Int64
}

func (s *sizedSource) Stat(context.Context) (tus.SourceInfo, error) {
	return tus.SourceInfo{Size: s.size.Load()}, nil
}

func (s *sizedSource) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s.data[offset:s.size.Load()])), nil
}

func TestParallel_GrownSourceMakesNoFinal(t *testing.T) {
	for kind, srv := range concatServers(t) {
		source := &sizedSource{data: randomBytes(8000)}
		source.size.Store(4000)
		srv.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			source.size.Store(8000)
			h.Serve(w, r)
		}})
		opts := inParts(4)
		opts.ChunkSize = 250
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, opts)
		wantError(t, err, tus.ErrSourceChanged)
		if len(finals(srv.Handler)) != 0 {
			t.Errorf("%s: server has a final upload", kind)
		}
	}
}

func TestParallel_CancelReturnsAtOnce(t *testing.T) {
	for _, method := range []string{"OPTIONS", "POST", "PATCH", "HEAD"} {
		// synctest fails if a goroutine is left.
		bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
			reached := make(chan struct{})
			once := sync.OnceFunc(func() { close(reached) })
			if method == "HEAD" {
				h.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutBefore()})
			}
			h.Inject(tustest.Fault{Method: method, Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				once()
				faults.StallAfter(10)(w, r, h)
			}})
			ctx, cancel := context.WithCancel(t.Context())
			begin := time.Now()
			go func() { <-reached; cancel() }()
			_, err := newClient(&tus.Options{Store: &storage.Memory{}}).Upload(ctx, tus.Bytes(randomBytes(unequalSize)), unequal())
			wantError(t, err, context.Canceled)
			if d := time.Since(begin); d > 0 {
				t.Errorf("%s: returned after %v", method, d)
			}
		})
	}
}
