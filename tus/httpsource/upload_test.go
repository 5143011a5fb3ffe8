package httpsource_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// serverKinds are ways in which a server serves the data of an upload.
func serverKinds() map[string]func(*site, http.ResponseWriter, *http.Request) {
	return map[string]func(*site, http.ResponseWriter, *http.Request){
		"ranges":    (*site).serve,
		"no ranges": (*site).serveWhole,
		"chunks":    (*site).serveChunked,
		"breaking": func(s *site, w http.ResponseWriter, r *http.Request) {
			s.serve(cutAfter(w, 700_001), r)
		},
		"redirecting": func(s *site, w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/data.bin" {
				http.Redirect(w, r, "/real.bin", http.StatusFound)
				return
			}
			s.serve(w, r)
		},
	}
}

func TestUpload_StoresAllBytes(t *testing.T) {
	ways := map[string]tus.UploadOptions{
		"single":          {CreationLimit: -1, Checksum: "off"},
		"in the creation": {ChunkSize: 100 << 20, Checksum: "off"},
		"chunked":         {ChunkSize: 300_000, Checksum: "off"},
		"trailers":        {ChunkSize: 300_000},
		"parallel":        {Parallel: 4, ParallelOptions: tus.ParallelOptions{MinPartSize: 300_000}, Checksum: "off"},
		"parallel chunks": {Parallel: 4, ParallelOptions: tus.ParallelOptions{MinPartSize: 300_000}, ChunkSize: 100_000},
	}
	for kind, serve := range serverKinds() {
		for way, opts := range ways {
			for _, size := range []int{0, 1, 2_500_000} {
				t.Run(fmt.Sprintf("%s, %s, %d bytes", kind, way, size), func(t *testing.T) {
					data := randomBytes(size)
					served := newSite(data)
					served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool { serve(served, w, r); return true }
					srv := tustest.NewServer(t, nil)
					client := newClient(t, srv, nil)
					result, err := client.Upload(testContext(t), newSource(t, served.start(t), nil), &opts)
					if err != nil {
						t.Fatal(err)
					}
					wantStored(t, srv, result.URL, data)
					if result.Offset != int64(size) || result.Size != int64(size) {
						t.Errorf("result has %d bytes of %d", result.Offset, result.Size)
					}
				})
			}
		}
	}
}

func TestUpload_PartsAreReadConcurrently(t *testing.T) {
	data := randomBytes(4 << 20)
	served := newSite(data)
	var open sync.WaitGroup
	open.Add(4)
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if 1 <= n && n <= 4 {
			open.Done()
			open.Wait() // for all four readers
		}
		return false
	}
	srv := tustest.NewServer(t, nil)
	opts := &tus.UploadOptions{Parallel: 4, ParallelOptions: tus.ParallelOptions{MinPartSize: 1 << 20}, Checksum: "off"}
	result, err := newClient(t, srv, nil).Upload(testContext(t), newSource(t, served.start(t), nil), opts)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv, result.URL, data)
}

func TestUpload_PartsOfStreamFail(t *testing.T) {
	served := newSite(randomBytes(4 << 20))
	served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool { served.serveWhole(w, r); return true }
	srv := tustest.NewServer(t, nil)
	_, err := newClient(t, srv, nil).Upload(testContext(t), newSource(t, served.start(t), nil),
		&tus.UploadOptions{Parallel: 4, ParallelOptions: tus.ParallelOptions{Required: true}})
	wantError(t, err, tus.ErrInvalidInput)
	if n := srv.Count("POST"); n != 0 {
		t.Errorf("%d uploads were created", n)
	}
}

// An upload from a server without ranges needs one request to it.
func TestUpload_StreamIsOneRequest(t *testing.T) {
	for kind, serve := range map[string]func(*site, http.ResponseWriter, *http.Request){
		"with a length": (*site).serveWhole, "in chunks": (*site).serveChunked,
	} {
		t.Run(kind, func(t *testing.T) {
			data := randomBytes(2_500_000)
			served := newSite(data)
			served.etag = ""
			served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool { serve(served, w, r); return true }
			srv := tustest.NewServer(t, nil)
			opts := &tus.UploadOptions{ChunkSize: 300_000, Checksum: "off"}
			result, err := newClient(t, srv, nil).Upload(testContext(t), newSource(t, served.start(t), nil), opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv, result.URL, data)
			served.wantRanges(t, "bytes=0-0")
		})
	}
}

func TestResume_ByAnotherClient(t *testing.T) {
	for name, print := range map[string]fingerprint.Fingerprinter{"Stat": fingerprint.Stat{}, "Sample": nil} {
		for way, opts := range map[string]tus.UploadOptions{
			"chunked":  {ChunkSize: 500_000, Checksum: "off"},
			"parallel": {ChunkSize: 100_000, Parallel: 4, ParallelOptions: tus.ParallelOptions{MinPartSize: 500_000}, Checksum: "off"},
		} {
			t.Run(name+", "+way, func(t *testing.T) {
				data := randomBytes(3_000_000)
				served := newSite(data)
				served.modified = longAgo
				url := served.start(t)
				srv := tustest.NewServer(t, nil)
				store := new(storage.Memory)
				ctx, cancel := context.WithCancel(testContext(t))
				first := newClient(t, srv, &tus.Options{Store: store, Fingerprinter: print, Hooks: tus.Hooks{
					OnProgress: func(_ *tus.Uploader, p tus.Progress) {
						if p.Acknowledged >= 1_000_000 {
							cancel()
						}
					},
				}})
				result, err := first.Upload(ctx, newSource(t, url, nil), &opts)
				wantError(t, err, context.Canceled)
				before := result.Offset

				second := newClient(t, srv, &tus.Options{Store: store, Fingerprinter: print})
				result, err = second.Upload(testContext(t), newSource(t, url, nil), &opts)
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv, result.URL, data)
				if result.Stats.ResumedFrom < before || before < 1_000_000 {
					t.Errorf("resumed from %d, was at %d", result.Stats.ResumedFrom, before)
				}
			})
		}
	}
}

func TestResume_ChangedDataIsNewUpload(t *testing.T) {
	served := newSite(randomBytes(2_000_000))
	url := served.start(t)
	srv := tustest.NewServer(t, nil)
	store := new(storage.Memory)
	opts := &tus.UploadOptions{ChunkSize: 500_000, StopAt: 500_000, Checksum: "off"}
	upload := func() (*tus.Result, error) {
		client := newClient(t, srv, &tus.Options{Store: store, Fingerprinter: fingerprint.Stat{}})
		return client.Upload(testContext(t), newSource(t, url, nil), opts)
	}
	_, err := upload()
	wantError(t, err, tus.ErrPaused)
	other := randomBytes(2_000_001)[1:]
	served.change(other, `"v2"`)
	opts.StopAt = 0
	result, err := upload()
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv, result.URL, other)
}

// If the data changes during an upload, the server never has a mixture of both versions as
// a complete upload.
func TestUpload_ChangeEndsIt(t *testing.T) {
	data, other := randomBytes(2_000_000), randomBytes(2_100_000)[100_000:]
	for way, opts := range map[string]tus.UploadOptions{
		"single":   {CreationLimit: -1, Checksum: "off"},
		"chunked":  {ChunkSize: 500_000, Checksum: "off"},
		"parallel": {Parallel: 4, ParallelOptions: tus.ParallelOptions{MinPartSize: 500_000}, Checksum: "off"},
	} {
		for name, when := range map[string]func(s *site, w http.ResponseWriter, r *http.Request, n int){
			"between requests": func(s *site, w http.ResponseWriter, r *http.Request, n int) {
				if n == 2 {
					s.change(other, `"v2"`)
				}
				s.serve(cutAfter(w, 400_000), r)
			},
			// by a server that continues with the new version
			"within a response": func(s *site, w http.ResponseWriter, r *http.Request, n int) {
				if n == 2 {
					defer s.change(other, `"v2"`)
				}
				s.serve(w, r)
			},
		} {
			t.Run(way+", "+name, func(t *testing.T) {
				if way == "single" && name == "within a response" {
					when = func(s *site, w http.ResponseWriter, r *http.Request, n int) {
						if n == 1 {
							w = &changingWriter{ResponseWriter: w, site: s, other: other}
						}
						s.serve(w, r)
					}
				}
				served := newSite(data)
				served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool { when(served, w, r, n); return true }
				srv := tustest.NewServer(t, nil)
				store := new(storage.Memory)
				client := newClient(t, srv, &tus.Options{Store: store, Fingerprinter: fingerprint.Stat{}})
				_, err := client.Upload(testContext(t), newSource(t, served.start(t), nil), &opts)
				wantError(t, err, tus.ErrSourceChanged)
				for _, up := range srv.Uploads() {
					if up.Complete() && up.Length == int64(len(data)) {
						t.Error("server holds a complete upload")
					}
				}
				for rec := range store.All(testContext(t)) {
					t.Errorf("store still knows %+v", rec)
				}
			})
		}
	}
}

// changingWriter changes the site after half of the body.
type changingWriter struct {
	http.ResponseWriter
	site  *site
	other []byte
	sent  int
}

func (w *changingWriter) Write(p []byte) (int, error) {
	if w.sent += len(p); w.sent > 1_000_000 {
		w.site.change(w.other, `"v2"`)
	}
	return w.ResponseWriter.Write(p)
}

func TestUpload_TusServerFailureIsResumed(t *testing.T) {
	for kind, serve := range serverKinds() {
		if kind == "chunks" {
			continue // a stream may not be recoverable
		}
		t.Run(kind, func(t *testing.T) {
			data := randomBytes(2_500_000)
			served := newSite(data)
			served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool { serve(served, w, r); return true }
			srv := tustest.NewServer(t, nil)
			srv.Inject(
				tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(1_000_000)},
				tustest.Fault{Method: "PATCH", Action: tustest.LoseResponse(), From: 2_000_000},
				tustest.Fault{Method: "PATCH", Action: tustest.CutBefore(), Times: 2},
			)
			opts := &tus.UploadOptions{CreationLimit: -1, ChunkSize: 1_500_000, Checksum: "off"}
			result, err := newClient(t, srv, nil).Upload(testContext(t), newSource(t, served.start(t), nil), opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv, result.URL, data)
		})
	}
}

func TestUpload_RetriesStat(t *testing.T) {
	data := randomBytes(1000)
	served := newSite(data)
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n < 3 {
			w.WriteHeader(503)
		}
		return n < 3
	}
	srv := tustest.NewServer(t, nil)
	result, err := newClient(t, srv, nil).Upload(testContext(t), newSource(t, served.start(t), nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv, result.URL, data)
	if result.Stats.Retries != 3 {
		t.Errorf("%d retries", result.Stats.Retries)
	}
}

func TestUpload_MissingSourceEndsIt(t *testing.T) {
	served := newSite(randomBytes(2_000_000))
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 1 {
			served.serve(cutAfter(w, 500_000), r)
		} else if n > 1 {
			w.WriteHeader(404)
		}
		return n > 0
	}
	srv := tustest.NewServer(t, nil)
	opts := &tus.UploadOptions{CreationLimit: -1, Checksum: "off"}
	result, err := newClient(t, srv, nil).Upload(testContext(t), newSource(t, served.start(t), nil), opts)
	var e *tus.Error
	if !errors.As(err, &e) || e.Method != "PATCH" || !strings.Contains(err.Error(), "404 Not Found") || !strings.Contains(err.Error(), "/data.bin") {
		t.Fatalf("error is %v", err)
	}
	if result.URL == "" || result.Stats.Retries != 0 {
		t.Errorf("result is %+v", result)
	}
}

func TestHTTPClient_SharedByManySources(t *testing.T) {
	served := newSite(randomBytes(10_000))
	url := served.start(t)
	transport := tus.NewTransport()
	defer transport.CloseIdleConnections()
	shared := &http.Client{Transport: transport}
	jobs := func(yield func(tus.Job) bool) {
		for range 50 {
			if !yield(tus.Job{Source: newSource(t, url, &httpsource.Options{HTTPClient: shared})}) {
				return
			}
		}
	}
	srv := tustest.NewServer(t, nil)
	n := 0
	for result, err := range newClient(t, srv, nil).UploadAll(testContext(t), jobs, 0) {
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv, result.URL, served.data)
		n++
	}
	if n != 50 {
		t.Errorf("%d uploads", n)
	}
	if conns := served.connections(); conns > 16 {
		t.Errorf("%d connections to the source", conns)
	}
}
