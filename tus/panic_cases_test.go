package tus_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// renewalStore calls put in each Put while fail is set.
type renewalStore struct {
	*storage.Memory
	fail atomic.Pointer[func() error]
}

func (s *renewalStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	if fail := s.fail.Load(); fail != nil {
		if err := (*fail)(); err != nil {
			return rec, err
		}
	}
	return s.Memory.Put(ctx, rec)
}

// TestPanic_OfLeaseRenewalReachesCaller renews a lease by a timer while a request hangs.
func TestPanic_OfLeaseRenewalReachesCaller(t *testing.T) {
	for name, c := range map[string]struct {
		put  func() error
		hook func(*tus.Uploader, error)
	}{
		"store": {put: func() error { panic("a bug") }},
		"hook":  {put: func() error { return errors.New("disk full") }, hook: func(*tus.Uploader, error) { panic("a bug") }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				h.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: tustest.Delay(time.Hour)})
				store, data := &renewalStore{Memory: &storage.Memory{}}, randomBytes(3000)
				client := newClient(&tus.Options{Store: store, StallTimeout: -1, Hooks: tus.Hooks{OnStoreError: c.hook}})
				opts, paused := chunked(), false
				opts.Hooks.OnStateChange = func(u *tus.Uploader, _, to tus.State, _ error) {
					if u.Offset() == 1000 && to == tus.StateSending && !paused {
						store.fail.Store(&c.put)
					} else if to == tus.StatePaused {
						store.fail.Store(nil)
						paused = true
					}
				}
				u, err := client.NewUploader(tus.Bytes(data), opts)
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				e := endingOf(func() error { _, err := u.Run(t.Context()); return err })
				if e.panics != "a bug" || u.State() != tus.StatePaused || time.Since(begin) > time.Minute {
					t.Fatalf("%+v after %v, state is %v", e, time.Since(begin), u.State())
				}
				if recs := records(t, store); len(recs) != 1 || recs[0].Lease != nil {
					t.Errorf("store has %+v", recs)
				}
				if _, err := u.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				wantStored(t, h, u.URL(), data)
			})
		})
	}
}

// TestPanic_InAbortAndPauseReleasesLease makes code of the caller panic outside Run.
func TestPanic_InAbortAndPauseReleasesLease(t *testing.T) {
	for _, in := range []string{"BeforeRequest", "AfterResponse", "OnStateChange", "ShouldRetry", "OnRetry", "Delete"} {
		t.Run(in, func(t *testing.T) {
			b := &bomb{explode: func() { panic("a bug") }}
			s := newSite(t, "chunks", b)
			s.srv.Inject(tustest.Fault{Method: "DELETE", Action: tustest.Respond(503, "")})
			u := s.uploader(t)
			for u.Offset() == 0 {
				if err := u.Step(testContext(t)); err != nil && !tus.IsRetryable(err) {
					t.Fatal(err)
				}
			}
			b.in, b.n = in, 1
			e := endingOf(func() error { return u.Abort(testContext(t)) })
			if e.panics != "a bug" || !b.defuse() {
				t.Fatalf("%+v", e)
			}
			for _, rec := range records(t, s.store) {
				if rec.Lease != nil && in != "Delete" {
					t.Error("record is still leased")
				}
			}
			if err := u.Abort(testContext(t)); err != nil {
				t.Error(err)
			}
			<-s.made // the upload that is gone
			close(s.made)
			s.wantUsable(t, "chunks", in)
		})
	}
}

// TestPanic_OfAnyReaderReachesCaller covers all kinds of sources that net/http reads.
func TestPanic_OfAnyReaderReachesCaller(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	const size = 3000
	files := panickyFS{mapFS("name", make([]byte, size))}
	for name, source := range map[string]func() tus.Source{
		"ReaderAt":   func() tus.Source { return tus.ReaderAt(panickyReader{}, size) },
		"ReadSeeker": func() tus.Source { return tus.ReadSeeker(panickyReader{}, size) },
		"Reader":     func() tus.Source { return tus.Reader(panickyReader{}) },
		"file":       func() tus.Source { return tus.FSFile(files, "name") },
	} {
		for mode, opts := range map[string]*tus.UploadOptions{"whole": whole(), "with the creation": nil, "chunks": chunked()} {
			client := newClient(t, srv.Endpoint(), &tus.Options{MaxConnections: 1})
			e := endingOf(func() error { _, err := client.Upload(testContext(t), source(), opts); return err })
			if e.panics != "reader panics" {
				t.Errorf("%s, %s: %+v", name, mode, e)
			}
			data := randomBytes(size)
			res, err := client.Upload(testContext(t), tus.Bytes(data), opts)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, mode, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
		}
	}
}

func (panickyReader) ReadAt([]byte, int64) (int, error) { panic("reader panics") }

// panickyFS has files whose Read panics.
type panickyFS struct{ fs.FS }

func (s panickyFS) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	return panickyFile{f}, err
}

type panickyFile struct{ fs.File }

func (panickyFile) Read([]byte) (int, error) { panic("reader panics") }

// TestPanic_InPartCreationStoresLaterParts creates a part after a panic ended the creation
// of all parts.
func TestPanic_InPartCreationStoresLaterParts(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(3000)
	posts, patches := 0, 0
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, MaxConnections: 1, Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
		switch r.Method {
		case http.MethodPost:
			if posts++; posts == 2 {
				panic("a bug")
			}
		case http.MethodPatch:
			patches++
			recs := records(t, store)
			if len(recs) != 1 || !slices.ContainsFunc(recs[0].Parts, func(p storage.Part) bool { return p.UploadURL == r.URL.String() }) {
				t.Errorf("data is sent to %s, and the store has %+v", r.URL, recs)
			}
		}
		return nil
	}}})
	u, err := client.NewUploader(tus.Bytes(data), &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1000, 2000}}})
	if err != nil {
		t.Fatal(err)
	}
	e := endingOf(func() error { _, err := u.Run(testContext(t)); return err })
	if e.panics != "a bug" {
		t.Fatalf("%+v", e)
	}
	if _, err := u.Run(testContext(t)); err != nil || patches != 3 {
		t.Fatalf("%d parts were sent: %v", patches, err)
	}
	wantStored(t, srv.Handler, u.URL(), data)
}

// TestPanic_InGetBodyReachesCaller has a transport that first reads the body in another
// goroutine.
func TestPanic_InGetBodyReachesCaller(t *testing.T) {
	b := &bomb{explode: func() { panic("a bug") }, in: "Open", n: 2}
	srv, data := tustest.NewServer(t, nil), randomBytes(3000)
	transport := tus.NewTransport()
	defer transport.CloseIdleConnections()
	client := newClient(t, srv.Endpoint(), &tus.Options{HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.GetBody != nil {
			errs := make(chan error)
			go func() {
				body, err := r.GetBody()
				if err == nil {
					err = body.Close()
				}
				errs <- err
			}()
			if err := <-errs; err != nil {
				r.Body.Close()
				return nil, err
			}
		}
		return transport.RoundTrip(r)
	})}})
	e := endingOf(func() error {
		_, err := client.Upload(testContext(t), bombSource{bomb: b, Source: tus.Bytes(data)}, whole())
		return err
	})
	if e.panics != "a bug" || b.open.Load() != 0 {
		t.Errorf("%d readers are open: %+v", b.open.Load(), e)
	}
	res, err := client.Upload(testContext(t), tus.Bytes(data), whole())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// TestPanic_InCloseOfFingerprintReachesCaller cancels an upload whose source hangs.
func TestPanic_InCloseOfFingerprintReachesCaller(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		wake := make(chan struct{})
		source := blockingSource{
			Source: tus.Bytes(randomBytes(3000)),
			read:   func() { <-wake }, close: func() { panic("a bug") },
		}
		client := newClient(&tus.Options{Store: &storage.Memory{}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		e := endingOf(func() error { _, err := client.Upload(ctx, source, whole()); return err })
		if e.panics != "a bug" {
			t.Errorf("%+v", e)
		}
		close(wake)
	})
}

// TestPanic_InCloseBetweenSamplesReachesCaller fingerprints a source whose readers cannot
// seek, so that each sample closes the reader of the one before.
func TestPanic_InCloseBetweenSamplesReachesCaller(t *testing.T) {
	bubble(t, func(t *testing.T, _ *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		source := blockingSource{
			Source: tus.FSFile(mapFS("source", make([]byte, 20<<20)), "source"),
			read:   func() {}, close: func() { panic("a bug") },
		}
		client := newClient(&tus.Options{Store: &storage.Memory{}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		e := endingOf(func() error { _, err := client.Upload(ctx, source, nil); return err })
		if e.panics != "a bug" {
			t.Errorf("%+v", e)
		}
	})
}

// TestPanic_OfStreamLeavesNoHole resumes a stream whose reader loses bytes in a panic.
func TestPanic_OfStreamLeavesNoHole(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	reads := 0
	r := readerFunc(func(p []byte) (int, error) {
		if reads++; reads == 13 {
			panic("a bug")
		}
		return copy(p, strings.Repeat("x", 100)), nil
	})
	u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Reader(r), chunked())
	if err != nil {
		t.Fatal(err)
	}
	e := endingOf(func() error { _, err := u.Run(testContext(t)); return err })
	if e.panics != "a bug" {
		t.Fatalf("%+v", e)
	}
	if _, err := u.Run(testContext(t)); err == nil || u.State() != tus.StateFailed {
		t.Errorf("Run returned %v in state %v", err, u.State())
	}
}
