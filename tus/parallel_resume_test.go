package tus_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// phase selects a request of a parallel upload.
type phase struct {
	name   string
	method string
	skip   int
	final  bool // a request for the final upload
}

var phases = []phase{
	{name: "creating the first part", method: "POST"},
	{name: "creating the last part", method: "POST", skip: 3},
	{name: "sending the first chunk", method: "PATCH"},
	{name: "sending", method: "PATCH", skip: 9},
	{name: "sending the last chunk", method: "PATCH", skip: 17},
	{name: "concatenating", method: "POST", final: true},
}

// inject handles the request of the phase by action, once.
func (p phase) inject(srv *tustest.Server, action tustest.Action) {
	var seen atomic.Int64
	srv.Inject(tustest.Fault{Method: p.method, Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		u, _ := h.Upload(r.URL.Path)
		final := strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;") || strings.HasPrefix(u.Concat, "final;")
		if final == p.final && seen.Add(1) == int64(p.skip)+1 {
			action(w, r, h)
			return
		}
		h.Serve(w, r)
	}})
}

// endings are outcomes of the request during which the client stops.
var endings = map[string]tustest.Action{
	"never served": tustest.Stall(),
	"served":       tustest.LoseResponse(),
}

func forEachPhase(t *testing.T, test func(t *testing.T, srv *tustest.Server, p phase, ending tustest.Action)) {
	for kind := range concatServers(t) {
		for _, p := range phases {
			for how, ending := range endings {
				t.Run(kind+"/"+p.name+"/"+how, func(t *testing.T) { test(t, concatServers(t)[kind], p, ending) })
			}
		}
	}
}

// wantFinals fails unless data is stored in one complete final upload, or at most two if
// the response to the creation of the first may have been lost.
func wantFinals(t *testing.T, srv *tustest.Server, res *tus.Result, data []byte, lost bool) {
	t.Helper()
	wantStored(t, srv.Handler, res.URL, data)
	if n, repeated := len(finals(srv.Handler)), res.Stats.RepeatedFinals; n > 1+repeated || repeated > 0 && !lost {
		t.Errorf("server has %d complete final uploads, and %d requests were repeated", n, repeated)
	}
}

// wantLittleResent fails if the server received more than the source and the bytes that
// may have been in flight.
func wantLittleResent(t *testing.T, srv *tustest.Server, size int64) {
	t.Helper()
	const onTheWay = 4 * 250
	if n := bytesReceived(srv); n > size+onTheWay {
		t.Errorf("server received %d bytes", n)
	}
}

func TestParallel_ResumesAfterPauseInAnyPhase(t *testing.T) {
	data := randomBytes(unequalSize)
	forEachPhase(t, func(t *testing.T, srv *tustest.Server, p phase, ending tustest.Action) {
		for _, store := range []storage.Store{nil, &storage.Memory{}} {
			srv := restarted(t, srv)
			var seen recorder
			opts := unequal()
			opts.Hooks = seen.hooks()
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()})
			u, err := client.NewUploader(tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			p.inject(srv, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				u.Pause()
				ending(w, r, h)
			})
			_, err = u.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)
			if u.State() != tus.StatePaused {
				t.Fatalf("state is %v", u.State())
			}
			res, err := u.Run(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			wantFinals(t, srv, res, data, p.final)
			wantLittleResent(t, srv, unequalSize)
			wantRisingProgress(t, seen.reports, unequalSize)
			if memory, ok := store.(*storage.Memory); ok {
				wantNothingKept(t, memory)
			}
		}
	})
}

// restarted starts a server like srv without uploads.
func restarted(t *testing.T, srv *tustest.Server) *tustest.Server {
	t.Helper()
	caps, err := newClient(t, srv.Endpoint(), nil).Capabilities(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	var extensions []string
	for _, e := range caps.Extensions {
		extensions = append(extensions, string(e))
	}
	return tustest.NewServer(t, &tustest.Options{Extensions: extensions})
}

func wantNothingKept(t *testing.T, store *storage.Memory) {
	t.Helper()
	for rec, err := range store.All(context.Background()) {
		t.Errorf("store still has %+v, %v", rec, err)
	}
}

func TestParallel_LaterSessionResumesAnyPhase(t *testing.T) {
	data := randomBytes(unequalSize)
	forEachPhase(t, func(t *testing.T, srv *tustest.Server, p phase, ending tustest.Action) {
		for _, connections := range []int{0, 1, 2, 4, 7} {
			srv, store := restarted(t, srv), &storage.Memory{}
			ctx, cancel := context.WithCancel(testContext(t))
			p.inject(srv, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				cancel()
				ending(w, r, h)
			})
			first, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(ctx, tus.Bytes(data), unequal())
			wantError(t, err, context.Canceled)

			var seen recorder
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{
				Parallel: connections, ParallelOptions: tus.ParallelOptions{MinPartSize: 100}, ChunkSize: 250, Hooks: seen.hooks(),
			})
			if err != nil {
				t.Fatal(err)
			}
			wantFinals(t, srv, res, data, p.final)
			wantLittleResent(t, srv, unequalSize)
			wantRisingProgress(t, seen.reports, unequalSize)
			wantNothingKept(t, store)
			if s := res.Stats; s.ResumedFrom < first.Offset || s.ResumedFrom+s.Uploaded != unequalSize {
				t.Errorf("first session ended at %d, stats of the second are %+v", first.Offset, s)
			}
		}
	})
}

func TestParallel_SurvivesCrashInAnyPhase(t *testing.T) {
	data := randomBytes(unequalSize)
	forEachPhase(t, func(t *testing.T, srv *tustest.Server, p phase, ending tustest.Action) {
		store, left := &storage.Memory{}, &storage.Memory{}
		ctx, cancel := context.WithCancel(testContext(t))
		p.inject(srv, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			asOfNow(t, store, left) // later changes are lost
			cancel()
			ending(w, r, h)
		})
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(ctx, tus.Bytes(data), unequal())
		wantError(t, err, context.Canceled)

		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: left, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		wantFinals(t, srv, res, data, p.final)
		wantLittleResent(t, srv, unequalSize)
		wantNothingKept(t, left)
	})
}

// asOfNow copies the current records of a store, as those of a process that crashed.
func asOfNow(t *testing.T, from, to *storage.Memory) {
	for rec, err := range from.All(context.Background()) {
		if err != nil {
			t.Error(err)
			continue
		}
		rec.Lease, rec.Revision = nil, 0
		if _, err := to.Put(context.Background(), rec); err != nil {
			t.Error(err)
		}
	}
}

func TestParallel_NextSessionUsesExistingParts(t *testing.T) {
	for kind, srv := range concatServers(t) {
		store := &storage.Memory{}
		ctx, cancel := context.WithCancel(testContext(t))
		srv.Inject(tustest.Fault{Method: "POST", Skip: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			cancel()
			tustest.Stall()(w, r, h)
		}})
		data := randomBytes(5000)
		opts := inParts(2)
		opts.ParallelOptions.PartBoundaries = []int64{1000, 2000, 3000, 4000}
		var seen recorder
		opts.Hooks = seen.hooks()
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(data), opts)
		wantError(t, err, context.Canceled)
		if len(seen.urls) < 2 {
			t.Fatalf("%s: %d parts were created", kind, len(seen.urls))
		}
		opts.Hooks = tus.Hooks{}
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		final, _ := srv.Upload(res.URL)
		for _, url := range seen.urls {
			if path := strings.TrimPrefix(url, srv.HTTP.URL); !strings.Contains(final.Concat+" ", path+" ") {
				t.Errorf("%s: part %s is not in %s", kind, path, final.Concat)
			}
		}
	}
}

func TestParallel_PartsAreStoredBeforeFirstByte(t *testing.T) {
	for kind, srv := range concatServers(t) {
		store, data := &storage.Memory{}, randomBytes(unequalSize)
		var checked atomic.Int64
		var forgot atomic.Bool
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			records, found := 0, false
			for rec, err := range store.All(context.Background()) {
				records++
				end := int64(0)
				for _, p := range rec.Parts {
					if u, ok := h.Upload(p.UploadURL); err != nil || !ok || p.Offset != end || u.Length != p.Size {
						t.Errorf("%s: stored part is %+v", kind, p)
					}
					found = found || strings.HasSuffix(p.UploadURL, r.URL.Path)
					end += p.Size
				}
				if end != unequalSize || rec.Size != unequalSize {
					t.Errorf("%s: stored parts have %d bytes of %d", kind, end, rec.Size)
				}
			}
			if records != 1 || !found {
				t.Errorf("%s: %d records, part found: %v", kind, records, found)
			}
			up, _ := h.Upload(r.URL.Path)
			last := int64(len(up.Data))+r.ContentLength == up.Length
			if checked.Add(1) >= 8 && !last && forgot.CompareAndSwap(false, true) {
				h.Forget(r.URL.Path) // so that a new part is created
			}
			h.Serve(w, r)
		}})
		u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).NewUploader(tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		res, err := u.Run(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if checked.Load() < 18 || res.Stats.Restarts != 1 {
			t.Errorf("%s: %d chunks were checked, stats are %+v", kind, checked.Load(), res.Stats)
		}
		wantNothingKept(t, store)
	}
}

func TestParallel_PauseBeforeRecordLosesNoPart(t *testing.T) {
	for _, parallel := range []int{0, 4} {
		for pauseAt := 1; pauseAt <= 6; pauseAt++ {
			for kind := range concatServers(t) {
				srv, store, data := concatServers(t)[kind], &storage.Memory{}, randomBytes(unequalSize)
				// Every fourth chunk deletes its upload first, so that there are more creations.
				var chunks atomic.Int64
				srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
					up, _ := h.Upload(r.URL.Path)
					if n := chunks.Add(1); n%4 == 0 && n < 20 && len(up.Data) > 0 && int64(len(up.Data))+r.ContentLength < up.Length {
						h.Forget(r.URL.Path)
					}
					h.Serve(w, r)
				}})
				var u *tus.Uploader
				creations := 0
				opts := unequal()
				if opts.Parallel = parallel; parallel == 0 {
					opts.ParallelOptions.PartBoundaries = nil
				}
				opts.Hooks.BeforeRequest = func(r *http.Request) error {
					stored := r.Method != "PATCH"
					for rec := range store.All(context.Background()) {
						stored = stored || rec.UploadURL == r.URL.String()
						for _, p := range rec.Parts {
							stored = stored || p.UploadURL == r.URL.String()
						}
					}
					if !stored {
						t.Errorf("%s, paused at creation %d: data is sent to %s, which is not stored", kind, pauseAt, r.URL)
					}
					return nil
				}
				opts.Hooks.AfterResponse = func(r *http.Request, _ *tus.Response) {
					if r.Method == "POST" {
						if creations++; creations == pauseAt {
							u.Pause()
						}
					}
				}
				u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).NewUploader(tus.Bytes(data), opts)
				if err != nil {
					t.Fatal(err)
				}
				_, err = u.Run(testContext(t))
				if creations < pauseAt {
					continue // fewer creations
				}
				wantError(t, err, tus.ErrPaused)
				res, err := u.Run(testContext(t))
				if err != nil {
					t.Fatalf("%s, paused at creation %d: %v", kind, pauseAt, err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				wantNothingKept(t, store)
			}
		}
	}
}

// oneReader is a sequential source that fails the test if two readers are open.
type oneReader struct {
	t    *testing.T
	data []byte
	open atomic.Int64
}

func (s *oneReader) Stat(context.Context) (tus.SourceInfo, error) {
	return tus.SourceInfo{Size: int64(len(s.data)), Sequential: true}, nil
}

func (s *oneReader) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	if s.open.Add(1) > 1 {
		s.t.Error("two readers are open")
	}
	return oneReading{bytes.NewReader(s.data[offset:]), s}, nil
}

type oneReading struct {
	io.Reader
	source *oneReader
}

func (r oneReading) Close() error { r.source.open.Add(-1); return nil }

func TestParallel_SequentialSourceResumesParts(t *testing.T) {
	data := randomBytes(unequalSize)
	for kind, srv := range concatServers(t) {
		store := &storage.Memory{}
		interruptedInParts(t, srv, store, data)
		opts := unequal()
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()})
		res, err := client.Upload(testContext(t), &oneReader{t: t, data: data}, opts)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if res.Stats.ResumedFrom == 0 {
			t.Errorf("%s: nothing was resumed", kind)
		}
	}
}

func TestProgress_ResumedParallelStartsAtOffset(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(40_000)
	opts := tus.UploadOptions{ChunkSize: 2000, Parallel: 4, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}}
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()})
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	opts.Hooks.OnProgress = func(_ *tus.Uploader, p tus.Progress) {
		if p.Acknowledged >= 20_000 {
			cancel()
		}
	}
	_, err := client.Upload(ctx, tus.Bytes(data), &opts)
	wantError(t, err, context.Canceled)
	least := int64(-1)
	opts.Hooks.OnProgress = func(_ *tus.Uploader, p tus.Progress) {
		if least < 0 || p.Acknowledged < least {
			least = p.Acknowledged
		}
	}
	res, err := client.Upload(testContext(t), tus.Bytes(data), &opts)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if from := res.Stats.ResumedFrom; from == 0 || least < from {
		t.Errorf("progress reported %d bytes, the upload was resumed from %d", least, from)
	}
}
