package tus_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// respondLate reads the whole request and serves it after d.
func respondLate(d time.Duration) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		recorded := httptest.NewRecorder()
		h.Serve(recorded, r)
		select {
		case <-time.After(d):
		case <-r.Context().Done():
			return
		}
		for name, values := range recorded.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(recorded.Code)
		w.Write(recorded.Body.Bytes())
	}
}

// buffering is a proxy that reads a whole request and forwards it after d. It drops
// canceled requests.
func buffering(d func(size int64) time.Duration) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		proxied := &bufferedBody{}
		if _, err := io.Copy(proxied, r.Body); err != nil {
			return
		}
		select {
		case <-time.After(d(int64(len(proxied.data)))):
		case <-r.Context().Done():
			return
		}
		r.Body = proxied
		h.Serve(w, r)
	}
}

type bufferedBody struct{ data []byte }

func (b *bufferedBody) Write(p []byte) (int, error) {
	b.data = append(b.data, p...)
	return len(p), nil
}
func (b *bufferedBody) Close() error { return nil }
func (b *bufferedBody) Read(p []byte) (int, error) {
	n := copy(p, b.data)
	if b.data = b.data[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestPatch_TimeoutBehindProxyShrinksChunks(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		// A minute for each MiB: a request of 8 MiB takes longer than 5 minutes.
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: buffering(func(size int64) time.Duration {
			return time.Duration(size) * time.Minute / (1 << 20)
		})})
		data := randomBytes(8 << 20)
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(data), whole())
		if err != nil || res.Stats.Retries != 1 {
			t.Fatalf("after %d retries: %v", res.Stats.Retries, err)
		}
		wantStored(t, h, res.URL, data)
		var sizes []int64
		for _, r := range h.Requests() {
			if r.Method == http.MethodPatch {
				sizes = append(sizes, r.Body)
			}
		}
		for _, size := range sizes[1:] {
			if size > 4<<20 || size < 1<<20 {
				t.Errorf("PATCH sizes are %v", sizes)
			}
		}
	})
}

func TestPatch_TimeoutKeepsChunkSizeOfCaller(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: buffering(func(int64) time.Duration { return time.Hour })})
		data := randomBytes(8 << 20)
		opts := whole()
		opts.ChunkSize = 4 << 20
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(data), opts)
		if err != nil || res.Stats.Requests["PATCH"] != 3 {
			t.Fatalf("%v: %v", res.Stats.Requests, err)
		}
		wantStored(t, h, res.URL, data)
	})
}

func TestResponse_LateRefusalIsAnError(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			h.Serve(httptest.NewRecorder(), r)
			<-time.After(4 * time.Minute) // stored, being scanned
			h.Forget(r.URL.Path)
			tustest.Respond(422, "virus", "Tus-Resumable", "1.0.0")(w, r, h)
		}})
		_, err := newClient(nil).Upload(t.Context(), tus.Bytes(randomBytes(300_000)), whole())
		var e *tus.Error
		if !errors.As(err, &e) || e.StatusCode != 422 {
			t.Errorf("error is %v", err)
		}
	})
}

func TestResponse_NegativeTimeoutIsNone(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: respondLate(24 * time.Hour)})
		res, err := newClient(&tus.Options{ResponseTimeout: -1}).Upload(t.Context(), tus.Bytes(randomBytes(3000)), whole())
		if err != nil || res.Stats.Retries != 0 {
			t.Fatalf("%v after %d retries", err, res.Stats.Retries)
		}
	})
}

// slowSource has a slow Open and slow Reads.
type slowSource struct {
	tus.Source
	d time.Duration
}

func (s slowSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	<-time.After(s.d)
	r, err := s.Source.Open(ctx, offset)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{slowReader{r, s.d}, r}, nil
}

type slowReader struct {
	io.Reader
	d time.Duration
}

func (r slowReader) Read(p []byte) (int, error) {
	<-time.After(r.d)
	return r.Reader.Read(p[:min(len(p), 8<<10)])
}

// slowWays returns ways to read a source.
func slowWays() map[string]*tus.UploadOptions {
	return map[string]*tus.UploadOptions{
		"single":               whole(),
		"chunked":              {ChunkSize: faultChunk},
		"creation with upload": {},
		"parallel":             {Parallel: 4, ParallelOptions: tus.ParallelOptions{MinPartSize: faultPart}},
		"deferred length":      {ChunkSize: faultChunk, DeferLength: true},
	}
}

func TestStall_SlowSourceIsNone(t *testing.T) {
	for way, opts := range slowWays() {
		for name, checksums := range map[string][]checksum.Algorithm{"plain": {}, "checksum": checksum.Builtin()} {
			t.Run(way+"/"+name, func(t *testing.T) {
				bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
					data := randomBytes(faultSize)
					res, err := newClient(&tus.Options{Checksums: checksums}).Upload(t.Context(), slowSource{tus.Bytes(data), 3 * time.Minute}, opts)
					if err != nil || res.Stats.Retries != 0 {
						t.Fatalf("after %d retries: %v", res.Stats.Retries, err)
					}
					wantStored(t, h, res.URL, data)
				})
			})
		}
	}
}

func TestSource_TimeoutEndsTheUpload(t *testing.T) {
	for way, opts := range slowWays() {
		t.Run(way, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				client := newClient(&tus.Options{SourceTimeout: time.Minute, Checksums: checksum.Builtin()})
				data := randomBytes(faultSize)
				res, err := client.Upload(t.Context(), slowSource{tus.Bytes(data), 3 * time.Minute}, opts)
				wantError(t, err, os.ErrDeadlineExceeded)
				if res.Stats.Retries != 0 || tus.IsRetryable(err) || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("after %d retries: %v", res.Stats.Retries, err)
				}
				if res, err = client.Upload(t.Context(), slowSource{tus.Bytes(data), time.Second}, opts); err != nil {
					t.Fatal(err)
				}
				wantStored(t, h, res.URL, data)
				time.Sleep(time.Hour) // for the abandoned calls
			})
		})
	}
}

func TestSource_TimeoutEndsAStream(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		reader, writer := io.Pipe()
		go writer.Write(randomBytes(2000))
		_, err := newClient(&tus.Options{SourceTimeout: time.Minute}).Upload(t.Context(), tus.Reader(reader), chunked())
		wantError(t, err, os.ErrDeadlineExceeded)
		reader.Close()
	})
}

func TestSource_TimeoutSendsAFileWhole(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(3 << 20)
	path := tempFile(t, data)
	for _, opts := range []*tus.UploadOptions{whole(), {ChunkSize: 1 << 20}, {Parallel: 3, ParallelOptions: tus.ParallelOptions{MinPartSize: 1 << 20}}} {
		res, err := newClient(t, srv.Endpoint(), &tus.Options{SourceTimeout: time.Minute}).UploadFile(testContext(t), path, opts)
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
}

func TestOptions_NegativeSourceTimeoutIsInvalid(t *testing.T) {
	_, err := tus.NewClient("http://tus.test/files/", &tus.Options{SourceTimeout: -1})
	wantError(t, err, tus.ErrInvalidInput)
}

// acknowledging stores one byte of each PATCH, and responds with 204 or cuts the
// connection.
func acknowledging(cut bool) tustest.Action {
	if cut {
		return tustest.CutAfter(1)
	}
	return faults.AcceptOnly(1)
}

func TestPatch_HardlyAnyBytesAcknowledgedEndsTheUpload(t *testing.T) {
	for name, cut := range map[string]bool{"short writes": false, "cuts": true} {
		for way, opts := range map[string]*tus.UploadOptions{"single": whole(), "chunked": chunked()} {
			t.Run(name+"/"+way, func(t *testing.T) {
				bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
					h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: acknowledging(cut)})
					client := newClient(&tus.Options{Retry: tus.RetryPolicy{MaxRetries: 100}})
					res, err := client.Upload(t.Context(), tus.Bytes(randomBytes(20_000)), opts)
					wantError(t, err, tus.ErrProtocol)
					if n := res.Stats.Requests["PATCH"]; n != 64 {
						t.Errorf("%d PATCH requests", n)
					}
				})
			})
		}
	}
}

func TestRetry_HardlyAnyBytesDoNotRenewTheBudget(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: acknowledging(true)})
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(randomBytes(20_000)), whole())
		if err == nil || res.Stats.Requests["PATCH"] != 9 {
			t.Errorf("%v: %v", res.Stats.Requests, err)
		}
	})
}

// Occasional short writes do not end the upload.
func TestPatch_FewBytesAcknowledgedNowAndThenIsFine(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		var patches atomic.Int64
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if patches.Add(1)%32 != 0 {
				faults.AcceptOnly(1)(w, r, h)
				return
			}
			at, _ := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
			faults.AcceptOnly(max(1, (20_000-at)/8))(w, r, h)
		}})
		data := randomBytes(20_000)
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(data), whole())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, res.URL, data)
	})
}
