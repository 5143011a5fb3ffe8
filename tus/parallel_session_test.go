package tus_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func isFinal(h *tustest.Handler, r *http.Request) bool {
	u, _ := h.Upload(r.URL.Path)
	return strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;") || strings.HasPrefix(u.Concat, "final;")
}

// TestStopAt_StoredPartsAreInvalid also resumes the stored upload after the error.
func TestStopAt_StoredPartsAreInvalid(t *testing.T) {
	data := randomBytes(unequalSize)
	srv, store := finalLast(t), &storage.Memory{}
	interruptedInParts(t, srv, store, data)
	var requests atomic.Int64 // cut requests may be handled late
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften(), Hooks: tus.Hooks{
		BeforeRequest: func(*http.Request) error { requests.Add(1); return nil },
	}})
	_, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 250, StopAt: 4000})
	wantError(t, err, tus.ErrInvalidInput)
	if requests.Load() != 0 {
		t.Error("a request was sent")
	}
	res, err := client.Upload(testContext(t), tus.Bytes(data), unequal())
	if err != nil || res.Stats.ResumedFrom == 0 {
		t.Fatalf("%+v, %v", res.Stats, err)
	}
	wantOneFinal(t, srv.Handler, res.URL, data)
}

// TestPart_CompleteDoesNotExpire has a part that takes hours. The other part is complete
// and does not expire meanwhile.
func TestPart_CompleteDoesNotExpire(t *testing.T) {
	opts := &tustest.Options{Extensions: tustest.Without("concatenation-unfinished"), Expires: time.Hour}
	bubbleWith(t, opts, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		memory, data := &storage.Memory{}, randomBytes(10_000)
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(20 * time.Minute)})
		u, err := newClient(&tus.Options{Store: memory, StallTimeout: -1}).NewUploader(tus.Bytes(data),
			&tus.UploadOptions{ChunkSize: 1000, Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{2000}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 130*time.Minute)
		defer cancel()
		_, err = u.Run(ctx)
		wantError(t, err, context.DeadlineExceeded)
		if n, err := storage.DeleteExpired(context.Background(), memory, time.Now()); n != 0 || err != nil {
			t.Errorf("%d expired records, %v", n, err)
		}
		if n, err := storage.DeleteExpired(context.Background(), memory, time.Now().Add(time.Hour)); n != 1 || err != nil {
			t.Errorf("%d expired records an hour later, %v", n, err)
		}
	})
}

// TestPart_CompleteHoldsNoBuffers resumes stored parts from a sequential source, whose
// chunks are hashed in memory.
func TestPart_CompleteHoldsNoBuffers(t *testing.T) {
	const size, parts = 64 << 20, 32
	data := randomBytes(size)
	grown := map[string]int64{}
	for name, source := range map[string]func() tus.Source{
		"many readers": func() tus.Source { return tus.ReaderAt(bytes.NewReader(data), size) },
		"one reader":   func() tus.Source { return tus.ReadSeeker(bytes.NewReader(data), size) },
	} {
		srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer", "concatenation-unfinished")})
		store, sums := &storage.Memory{}, checksum.Builtin()
		var at []int64
		for i := int64(1); i < parts; i++ {
			at = append(at, i*size/parts)
		}
		u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Checksums: sums}).NewUploader(tus.ReaderAt(bytes.NewReader(data), size), &tus.UploadOptions{Parallel: 4, ParallelOptions: tus.ParallelOptions{PartBoundaries: at}})
		if err != nil {
			t.Fatal(err)
		}
		for u.Offset() == 0 {
			ctx, cancel := context.WithCancel(testContext(t))
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) { cancel(); h.Serve(w, r) }})
			u.Run(ctx)
		}
		heap := func() int64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		second, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Checksums: sums}).NewUploader(source(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for second.State() != tus.StateReady {
			if err := second.Step(testContext(t)); err != nil {
				t.Fatal(err)
			}
		}
		before := heap()
		srv.Inject(tustest.Fault{Method: "POST", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			grown[name] = heap() - before // all parts are complete, the upload is not
			h.Serve(w, r)
		}})
		_, err = second.Run(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		runtime.KeepAlive(second)
	}
	if more := grown["one reader"] - grown["many readers"]; more > 16<<20 {
		t.Errorf("%d MiB are held for complete parts", more>>20)
	}
}

// TestPart_WithBytesIsNotReplaced pauses before all parts exist, and again when some of
// them have bytes. These are not resent.
func TestPart_WithBytesIsNotReplaced(t *testing.T) {
	data := randomBytes(unequalSize)
	for name, store := range map[string]storage.Store{"store": &storage.Memory{}, "no store": nil} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).NewUploader(tus.Bytes(data), unequal())
			if err != nil {
				t.Fatal(err)
			}
			pause := func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) { u.Pause(); tustest.Stall()(w, r, h) }
			var last, final atomic.Bool
			srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				switch {
				case r.Header.Get("Upload-Length") == "1200" && !last.Swap(true):
					pause(w, r, h)
				case isFinal(h, r) && !final.Swap(true):
					tustest.LoseResponse()(w, r, h)
				default:
					h.Serve(w, r)
				}
			}}, tustest.Fault{Method: "PATCH", Times: -1, Action: onPart(1200, 2, pause)})
			for range 2 {
				_, err := u.Run(testContext(t))
				wantError(t, err, tus.ErrPaused)
			}
			res, err := u.Run(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			wantFinals(t, srv, res, data, true)
			wantLittleResent(t, srv, unequalSize)
		})
	}
}

// TestFinal_BytesOfPartsRenewRetries has failures before and after the parts are sent.
// Either alone is within the retry budget, the sum is not.
func TestFinal_BytesOfPartsRenewRetries(t *testing.T) {
	data := randomBytes(unequalSize)
	srv, store := finalLast(t), &storage.Memory{}
	ctx, cancel := context.WithCancel(testContext(t))
	var second atomic.Bool
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if second.Load() {
			h.Serve(w, r)
			return
		}
		cancel()
		tustest.Stall()(w, r, h)
	}})
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: tus.RetryPolicy{MaxRetries: 3}})
	_, err := client.Upload(ctx, tus.Bytes(data), unequal())
	wantError(t, err, context.Canceled)
	second.Store(true)
	unavailable := tustest.Respond(503, "")
	srv.Inject(tustest.Fault{Method: "HEAD", Times: 3, Action: unavailable})
	onFinal(srv, unavailable, unavailable, unavailable)
	res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	wantOneFinal(t, srv.Handler, res.URL, data)
	if res.Stats.Retries < 6 { // a request of the first session may cause one more
		t.Errorf("%d retries", res.Stats.Retries)
	}
}

// A session ends right after the final upload was created, and the server then moves it
// away. No later session resends the source.
func TestFinalUpload_GoneAfterASessionIsUnconfirmed(t *testing.T) {
	srv, store, data := finalLast(t), &storage.Memory{}, randomBytes(unequalSize)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	u, err := client.NewUploader(tus.Bytes(data), unequal())
	if err != nil {
		t.Fatal(err)
	}
	for u.URL() == "" {
		if err := u.Step(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	u.Pause()
	srv.Forget(u.URL())
	for range 2 {
		_, err = client.Upload(testContext(t), tus.Bytes(data), unequal())
		wantError(t, err, tus.ErrUnconfirmed)
	}
	if n := bytesReceived(srv); n != unequalSize {
		t.Errorf("%d bytes received", n)
	}
}

func TestAbort_DeletesPartsThatCannotBeResumed(t *testing.T) {
	srv, store, data := finalLast(t), &storage.Memory{}, randomBytes(unequalSize)
	interruptedInParts(t, srv, store, data)
	opts := unequal()
	opts.ParallelOptions.MaxConcatHeader = 60
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).NewUploader(tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrInvalidInput)
	if err := u.Abort(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if n := srv.Count("DELETE"); n < 4 { // more if a request of the first session locks a part
		t.Errorf("%d parts were deleted", n)
	}
	wantEmptyStore(t, store)
}

func TestPart_StartingOverIsLogged(t *testing.T) {
	srv, data := finalLast(t), randomBytes(unequalSize)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: onPart(1100, 2, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Forget(r.URL.Path)
		h.Serve(w, r)
	})})
	var log bytes.Buffer
	client := newClient(t, srv.Endpoint(), &tus.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if _, err := client.Upload(testContext(t), tus.Bytes(data), unequal()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "tus starting over: part at offset 1900: "); n != 1 {
		t.Errorf("log is %s", &log)
	}
}

// A pause does not renew the retries of a part.
func TestPart_PauseKeepsItsFailures(t *testing.T) {
	srv := finalLast(t)
	var u *tus.Uploader
	srv.Inject(
		tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Respond(503, "", "Tus-Resumable", "1.0.0")},
		tustest.Fault{Method: "HEAD", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			u.Pause()
			h.Serve(w, r)
		}})
	client := newClient(t, srv.Endpoint(), &tus.Options{Retry: tus.RetryPolicy{MaxRetries: 1}})
	u, err := client.NewUploader(tus.Bytes(randomBytes(4000)), &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{3999}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	res, err := u.Run(testContext(t))
	var e *tus.Error
	if !errors.As(err, &e) || e.StatusCode != 503 {
		t.Fatal(err)
	}
	if res.Stats.Retries > 2 { // one of each part
		t.Errorf("%d retries", res.Stats.Retries)
	}
}
