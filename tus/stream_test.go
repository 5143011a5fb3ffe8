package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// deliveries are ways in which a reader may hand out the same bytes.
var deliveries = map[string]func(io.Reader) io.Reader{
	"plain":         func(r io.Reader) io.Reader { return r },
	"byte by byte":  iotest.OneByteReader,
	"halves":        iotest.HalfReader,
	"data with EOF": iotest.DataErrReader,
	"stuttering":    func(r io.Reader) io.Reader { return &stutterer{r: r} },
}

// stutterer returns nothing every other time, which io.Reader allows.
type stutterer struct {
	r io.Reader
	n int
}

func (s *stutterer) Read(p []byte) (int, error) {
	if s.n++; s.n%2 == 1 {
		return 0, nil
	}
	return s.r.Read(p)
}

// streamLengths are around the multiples of a chunk of 1000 bytes.
var streamLengths = []int{0, 1, 999, 1000, 1001, 1999, 2000, 2001, 2999, 3000, 3001}

func TestStreamOfAnyLengthArrivesWhole(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	if _, err := client.Capabilities(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for name, deliver := range deliveries {
		for _, n := range streamLengths {
			before := len(srv.Requests())
			data := randomBytes(n)
			var seen recorder
			res, err := client.Upload(testContext(t), tus.Reader(deliver(bytes.NewReader(data))), &tus.UploadOptions{
				ChunkSize: 1000, Metadata: tus.Metadata{"name": "x"}, Hooks: seen.hooks(),
			})
			if err != nil {
				t.Fatalf("%s: %d bytes: %v", name, n, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if s := res.Stats; res.Size != int64(n) || res.Offset != int64(n) || s.Sent != int64(n) || s.Resent != 0 || s.Uploaded != int64(n) {
				t.Errorf("%s: %d bytes: result is %+v", name, n, res)
			}
			wantStreamRequests(t, srv.Requests()[before:], n)
			wantStreamProgress(t, seen.reports, n)
		}
	}
}

// wantStreamRequests fails unless the requests are those for a stream of n bytes
// in chunks of 1000.
func wantStreamRequests(t *testing.T, requests []tustest.Request, n int) {
	t.Helper()
	metadata := []string{"name eA=="}
	if n <= 1000 { // known before anything is sent
		if len(requests) != 1 {
			t.Errorf("%d bytes took %d requests", n, len(requests))
			return
		}
		wantUploadHeaders(t, requests[0], "POST", http.Header{"Upload-Length": {strconv.Itoa(n)}, "Upload-Metadata": metadata})
		return
	}
	wantUploadHeaders(t, requests[0], "POST", http.Header{"Upload-Defer-Length": {"1"}, "Upload-Metadata": metadata})
	for i, r := range requests[1:] {
		header := http.Header{"Upload-Offset": {strconv.Itoa(1000 * i)}}
		if i == len(requests)-2 {
			header.Set("Upload-Length", strconv.Itoa(n))
		}
		wantUploadHeaders(t, r, "PATCH", header)
	}
	// An end that shows only after a full chunk takes an empty request.
	if chunks := len(requests) - 1; chunks != (n+999)/1000 && chunks != n/1000+1 {
		t.Errorf("%d bytes took %d PATCH requests", n, chunks)
	}
}

func wantStreamProgress(t *testing.T, reports []tus.Progress, n int) {
	t.Helper()
	var last tus.Progress
	for _, p := range reports {
		if p.Acknowledged < last.Acknowledged || p.InFlight < 0 || !p.SizeUnknown && p.Size != int64(n) || n > 1000 && p.Acknowledged < 1000 && !p.SizeUnknown {
			t.Errorf("%d bytes: progress %+v follows %+v", n, p, last)
		}
		last = p
	}
	if last.Acknowledged != int64(n) || last.SizeUnknown || last.Size != int64(n) {
		t.Errorf("%d bytes: progress ends with %+v", n, last)
	}
}

func TestStreamIsSentInChunksOfEightMebibytesByDefault(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(8<<20 + 1)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	wantMethods(t, srv.Handler, "OPTIONS", "POST", "PATCH", "PATCH")
	if n := srv.Requests()[2].Body; n != 8<<20 {
		t.Errorf("first chunk has %d bytes", n)
	}
	res, err = newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data[1:])), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data[1:])
	if requests := srv.Requests()[4:]; len(requests) != 2 || requests[1].Body != 8<<20 {
		t.Errorf("stream of one chunk took %d requests", len(requests))
	}
}

func TestStreamWithoutDeferredLength(t *testing.T) {
	unable := &tustest.Options{Extensions: tustest.Without("creation-defer-length")}
	for name, limit := range map[string]int64{"without a buffer": 0, "longer than the buffer": 2500, "a byte longer than the buffer": 3999} {
		srv := tustest.NewServer(t, unable)
		client := newClient(t, srv.Endpoint(), nil)
		_, err := client.Upload(testContext(t), tus.Reader(bytes.NewReader(randomBytes(4000))), &tus.UploadOptions{ChunkSize: 1000, BufferLimit: limit})
		if !errors.Is(err, tus.ErrUnsupported) || !strings.Contains(err.Error(), "creation-defer-length") {
			t.Errorf("%s: error is %v", name, err)
		}
		wantMethods(t, srv.Handler, "OPTIONS")
	}
	for _, n := range streamLengths {
		for _, spare := range []int{0, 1, 5000} {
			srv := tustest.NewServer(t, unable)
			client, data := newClient(t, srv.Endpoint(), nil), randomBytes(n)
			opts := &tus.UploadOptions{ChunkSize: 1000, BufferLimit: int64(n + spare)}
			if n <= 1000 {
				opts.BufferLimit = 0 // no need
			}
			res, err := client.Upload(testContext(t), tus.Reader(bytes.NewReader(data)), opts)
			if err != nil {
				t.Fatalf("%d bytes, %d to spare: %v", n, spare, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			for _, r := range srv.Requests() {
				if got := r.Header.Get("Upload-Length"); r.Method == "POST" && got != strconv.Itoa(n) {
					t.Errorf("%d bytes were created with a length of %q", n, got)
				}
			}
			if n > 1 {
				opts.ChunkSize, opts.BufferLimit = max(1, int64(n)/3), int64(n)-1
				if _, err := client.Upload(testContext(t), tus.Reader(bytes.NewReader(data)), opts); !errors.Is(err, tus.ErrUnsupported) {
					t.Errorf("%d bytes, limit %d: error is %v", n, n-1, err)
				}
			}
		}
	}
	t.Run("with an extension there is no need to buffer", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		data := randomBytes(2500)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), &tus.UploadOptions{ChunkSize: 1000, BufferLimit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		wantMethods(t, srv.Handler, "OPTIONS", "POST", "PATCH", "PATCH", "PATCH")
	})
	t.Run("reader fails while it is buffered", func(t *testing.T) {
		srv := tustest.NewServer(t, unable)
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(failingAfter(2500, errPlug)), &tus.UploadOptions{ChunkSize: 1000, BufferLimit: 1 << 20})
		wantError(t, err, errPlug)
		wantMethods(t, srv.Handler, "OPTIONS")
	})
	t.Run("server does not say", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "OPTIONS", Times: -1, Action: tustest.Respond(405, "")})
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(randomBytes(2500))), chunked())
		var e *tus.Error
		if !errors.As(err, &e) || e.StatusCode != 405 || !strings.Contains(err.Error(), "creation-defer-length") {
			t.Errorf("error is %v", err)
		}
		wantMethods(t, srv.Handler, "OPTIONS")
	})
}

// failingAfter is n bytes of noise and then an error.
func failingAfter(n int, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(randomBytes(n)), iotest.ErrReader(err))
}

func TestReaderThatFailsLeavesAResumableUpload(t *testing.T) {
	data := randomBytes(3500)
	wrappedEOF := fmt.Errorf("tunnel: %w", io.EOF)
	for _, failure := range []error{errPlug, io.ErrUnexpectedEOF, wrappedEOF, os.ErrDeadlineExceeded} {
		for _, n := range streamLengths[1:] {
			for name, reader := range map[string]io.Reader{
				"after the data":    failingAfter(n, failure),
				"together with it":  iotest.DataErrReader(failingAfter(n, failure)),
				"in the last bytes": io.MultiReader(bytes.NewReader(data[:n-1]), readerFunc(func(p []byte) (int, error) { p[0] = data[n-1]; return 1, failure })),
			} {
				srv := tustest.NewServer(t, nil)
				client := newClient(t, srv.Endpoint(), nil)
				res, err := client.Upload(testContext(t), tus.Reader(reader), chunked())
				if !errors.Is(err, failure) {
					t.Fatalf("%s, %d bytes: error is %v, want %v", name, n, err, failure)
				}
				up, ok := srv.Upload(res.URL)
				if !ok || up.Complete() || up.Length != -1 || !bytes.Equal(up.Data, data[:n]) || res.Offset != int64(n) {
					t.Fatalf("%s, %d bytes: server has %d of them, result is %+v", name, n, len(up.Data), res)
				}
				res, err = client.Resume(testContext(t), res.URL, tus.Reader(bytes.NewReader(data)), chunked())
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				if res.Stats.ResumedFrom != int64(n) || res.Stats.Sent != int64(3500-n) || srv.Count("POST") != 1 {
					t.Errorf("%s, %d bytes: stats are %+v", name, n, res.Stats)
				}
			}
		}
	}
	t.Run("before the first byte nothing is created", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(iotest.ErrReader(errPlug)), chunked())
		wantError(t, err, errPlug)
		wantMethods(t, srv.Handler)
	})
}

func TestReaderThatBreaksItsPromiseEndsTheStream(t *testing.T) {
	tests := map[string]struct {
		then readerFunc
		want error
	}{
		"never gets on":  {func([]byte) (int, error) { return 0, nil }, io.ErrNoProgress},
		"too many bytes": {func(p []byte) (int, error) { return len(p) + 1, nil }, nil},
		"fewer than 0":   {func([]byte) (int, error) { return -1, nil }, nil},
	}
	for name, test := range tests {
		srv, data := tustest.NewServer(t, nil), randomBytes(2500)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(io.MultiReader(bytes.NewReader(data), test.then)), chunked())
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: error is %v", name, err)
		}
		if up, _ := srv.Upload(res.URL); up.Complete() || !bytes.Equal(up.Data, data[:len(up.Data)]) {
			t.Errorf("%s: server has %d bytes", name, len(up.Data))
		}
	}
}

func TestStreamIsReadAheadOneChunkAndNoMore(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(6000)
	var read, confirmed atomic.Int64
	waiting := make(chan struct{}, 100)
	reader := bytes.NewReader(data)
	counting := readerFunc(func(p []byte) (int, error) {
		n, err := reader.Read(p)
		if got := read.Add(int64(n)); got > confirmed.Load()+2000 {
			t.Errorf("%d bytes are read, and %d are confirmed", got, confirmed.Load())
		}
		waiting <- struct{}{}
		return n, err
	})
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		// This chunk is answered only when the next one has been read.
		at, _ := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
		for want := min(6000, at+2000); read.Load() < want; {
			select {
			case <-waiting:
			case <-r.Context().Done():
				return
			}
		}
		confirmed.Store(min(6000, at+1000))
		h.Serve(w, r)
	}})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(counting), chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestStreamIsDrivenByHand(t *testing.T) {
	for _, n := range streamLengths {
		srv, data := tustest.NewServer(t, nil), randomBytes(n)
		u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Reader(iotest.HalfReader(bytes.NewReader(data))), chunked())
		if err != nil {
			t.Fatal(err)
		}
		requests := 0
		for u.State() != tus.StateComplete {
			if err := u.Step(testContext(t)); err != nil {
				t.Fatal(err)
			}
			if now := len(srv.Requests()); now > requests+1 {
				t.Errorf("%d bytes: one step made %d requests", n, now-requests)
			} else {
				requests = now
			}
		}
		wantStored(t, srv.Handler, u.URL(), data)
	}
}

func TestChecksumsOfAStream(t *testing.T) {
	for kind, extensions := range map[string][]string{"before": tustest.Without("checksum-trailer"), "trailer": nil} {
		for _, n := range streamLengths {
			srv, data := tustest.NewServer(t, &tustest.Options{Extensions: extensions}), randomBytes(n)
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Times: 2, Action: faults.RespondAfter(460, "")})
			client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()})
			res, err := client.Upload(testContext(t), tus.Reader(iotest.HalfReader(bytes.NewReader(data))), chunked())
			if err != nil {
				t.Fatalf("%s: %d bytes: %v", kind, n, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			for _, r := range srv.Requests() {
				if r.Body > 0 && kind == "before" && r.Header.Get("Upload-Checksum") == "" {
					t.Errorf("%d bytes: %s with %d bytes has no checksum", n, r.Method, r.Body)
				}
			}
		}
	}
	t.Run("algorithm that is offered and then refused", func(t *testing.T) {
		srv, data := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer")}), randomBytes(5000)
		var refused atomic.Value
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			name, _, _ := strings.Cut(r.Header.Get("Upload-Checksum"), " ")
			if refused.CompareAndSwap(nil, name) || refused.Load() == name {
				faults.RespondAfter(400, "no such algorithm")(w, r, h)
				return
			}
			h.Serve(w, r)
		}})
		client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()})
		res, err := client.Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	})
}

// unknownSource is a source of unknown size whose reader must be closed.
type unknownSource struct {
	io.Reader
	closed, opened int
}

func (s *unknownSource) Stat(context.Context) (tus.SourceInfo, error) {
	return tus.SourceInfo{Name: "unknown", SizeUnknown: true, Sequential: true}, nil
}

func (s *unknownSource) Open(context.Context, int64) (io.ReadCloser, error) {
	s.opened++
	return s, nil
}

func (s *unknownSource) Close() error { s.closed++; return nil }

func TestReaderOfAStreamIsClosedOnce(t *testing.T) {
	ended, end := context.WithCancel(context.Background())
	end()
	tests := map[string]struct {
		ctx    context.Context
		reader io.Reader
		fault  tustest.Action
		opts   tus.UploadOptions
		want   error
	}{
		"success":      {reader: bytes.NewReader(randomBytes(2500))},
		"short":        {reader: bytes.NewReader(randomBytes(10))},
		"empty":        {reader: bytes.NewReader(nil)},
		"read failure": {reader: failingAfter(2500, errPlug), want: errPlug},
		"refused":      {reader: bytes.NewReader(randomBytes(2500)), fault: tustest.Respond(403, ""), want: tus.ErrUnauthorized},
		"stopped":      {reader: bytes.NewReader(randomBytes(2500)), opts: tus.UploadOptions{StopAt: 1500}, want: tus.ErrPaused},
		"canceled":     {ctx: ended, reader: bytes.NewReader(randomBytes(2500)), want: context.Canceled},
	}
	for name, test := range tests {
		srv := tustest.NewServer(t, nil)
		if test.fault != nil {
			srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: test.fault})
		}
		source := &unknownSource{Reader: test.reader}
		if test.ctx == nil {
			test.ctx = testContext(t)
		}
		test.opts.ChunkSize = 1000
		_, err := newClient(t, srv.Endpoint(), nil).Upload(test.ctx, source, &test.opts)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: error is %v", name, err)
		}
		if source.opened != source.closed || source.opened > 1 {
			t.Errorf("%s: reader was opened %d and closed %d times", name, source.opened, source.closed)
		}
	}
	t.Run("aborted", func(t *testing.T) {
		srv, source := tustest.NewServer(t, nil), &unknownSource{Reader: bytes.NewReader(randomBytes(2500))}
		u, err := newClient(t, srv.Endpoint(), nil).NewUploader(source, &tus.UploadOptions{ChunkSize: 1000, StopAt: 1500})
		if err != nil {
			t.Fatal(err)
		}
		_, err = u.Run(testContext(t))
		wantError(t, err, tus.ErrPaused)
		if source.closed != 0 {
			t.Error("reader of a paused upload is closed")
		}
		if err := u.Abort(testContext(t)); err != nil || source.closed != 1 {
			t.Errorf("Abort: %v, reader was closed %d times", err, source.closed)
		}
	})
}

func TestStreamIsReadOnlyOnce(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	source := tus.Reader(bytes.NewReader(randomBytes(2500)))
	if _, err := client.Upload(testContext(t), source, chunked()); err != nil {
		t.Fatal(err)
	}
	_, err := client.Upload(testContext(t), source, chunked())
	wantError(t, err, tus.ErrNotRecoverable)
	if n := len(srv.Uploads()); n != 1 {
		t.Errorf("%d uploads", n)
	}
}

func TestNoReaderIsInvalid(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	res, err := client.Upload(testContext(t), tus.Reader(nil), nil)
	wantError(t, err, tus.ErrInvalidInput)
	if res == nil {
		t.Error("result is nil")
	}
	_, err = client.Upload(testContext(t), tus.Reader(nil), nil)
	wantError(t, err, tus.ErrInvalidInput)
	_, err = client.Upload(testContext(t), tus.Reader(bytes.NewReader(nil)), &tus.UploadOptions{BufferLimit: -1})
	wantError(t, err, tus.ErrInvalidInput)
	wantMethods(t, srv.Handler)
}

func TestStreamNeedsNoStore(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	for _, n := range []int{0, 700, 2500} {
		data := randomBytes(n)
		res, err := client.Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
	_, err := client.Upload(testContext(t), tus.Reader(failingAfter(2500, errPlug)), chunked())
	wantError(t, err, errPlug)
	wantNothingKept(t, store)
}

// swallowing is a server that keeps nothing.
func swallowing(t *testing.T) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodOptions:
			w.Header().Set("Tus-Extension", "creation,creation-defer-length")
			w.WriteHeader(http.StatusNoContent)
		case http.MethodPost:
			w.Header().Set("Location", "/files/1")
			w.WriteHeader(http.StatusCreated)
		case http.MethodPatch:
			at, _ := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
			n, _ := io.Copy(io.Discard, r.Body)
			w.Header().Set("Upload-Offset", strconv.FormatInt(at+n, 10))
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestChunkSizeOfAStreamMayBeFarAboveWhatThereIs(t *testing.T) {
	data := randomBytes(30 << 20)
	for _, chunk := range []int64{12 << 20, 20 << 20, 1 << 50, math.MaxInt64} {
		for _, n := range []int{0, 1, 9 << 20, len(data)} {
			srv := tustest.NewServer(t, nil)
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data[:n])), &tus.UploadOptions{ChunkSize: chunk})
			if err != nil {
				t.Fatalf("%d bytes in chunks of %d: %v", n, chunk, err)
			}
			wantStored(t, srv.Handler, res.URL, data[:n])
		}
	}
}

func TestMemoryDoesNotGrowWithTheStream(t *testing.T) {
	client := newClient(t, swallowing(t).URL+"/files/", nil)
	allocated := func(size int64) uint64 {
		zeros := readerFunc(func(p []byte) (int, error) { clear(p); return len(p), nil })
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res, err := client.Upload(testContext(t), tus.Reader(io.LimitReader(zeros, size)), &tus.UploadOptions{ChunkSize: 1 << 20})
		runtime.ReadMemStats(&after)
		if err != nil || res.Size != size {
			t.Fatalf("result is %+v, %v", res, err)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(8 << 20) // connections and pools
	small, large := allocated(16<<20), allocated(256<<20)
	// What each request costs grows, the bytes of the stream do not.
	if large > small+16<<20 {
		t.Errorf("16 MiB took %d KiB, 256 MiB took %d KiB", small>>10, large>>10)
	}
}

func TestLengthOfAFileIsDeferredOnRequest(t *testing.T) {
	for _, n := range streamLengths {
		for _, chunk := range []int64{0, 1000} {
			for _, fault := range []tustest.Action{nil, tustest.LoseResponse(), tustest.CutAfter(100), faults.AcceptOnly(1), faults.SetStatus(502), faults.RespondAfter(404, "")} {
				srv, data := tustest.NewServer(t, nil), randomBytes(n)
				path := filepath.Join(t.TempDir(), "file")
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
				if fault != nil {
					atOffset(srv, int64(max(0, n-1)/1000*1000), fault) // the last request, if there are chunks
				}
				res, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: untiring(), Store: &storage.Memory{}}).UploadFile(testContext(t), path, &tus.UploadOptions{
					DeferLength: true, ChunkSize: chunk,
				})
				if err != nil {
					t.Fatalf("%d bytes in chunks of %d: %v", n, chunk, err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				declared := 0
				for _, r := range srv.Requests() {
					switch length := r.Header.Get("Upload-Length"); {
					case r.Method == "POST" && (length != "" || r.Header.Get("Upload-Defer-Length") != "1"):
						t.Errorf("creation has Upload-Length %q", length)
					case r.Method == "PATCH" && length != "":
						declared++
						if length != strconv.Itoa(n) {
							t.Errorf("%d bytes were declared as %s", n, length)
						}
					}
				}
				if declared == 0 || fault == nil && declared != 1 {
					t.Errorf("%d bytes in chunks of %d: length was told %d times", n, chunk, declared)
				}
			}
		}
	}
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("creation-defer-length")})
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(10)), &tus.UploadOptions{DeferLength: true, BufferLimit: 1000})
	wantError(t, err, tus.ErrUnsupported)
	wantMethods(t, srv.Handler, "OPTIONS")
}

func TestDeferredLengthIsResumedByALaterSession(t *testing.T) {
	for _, at := range []int64{1, 1000, 1500, 2499} {
		srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(2500)
		opts := &tus.UploadOptions{DeferLength: true, ChunkSize: 1000, StopAt: at}
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
		wantError(t, err, tus.ErrPaused)
		for _, deferred := range []bool{true, false} {
			if !deferred && at != 1000 {
				continue
			}
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{DeferLength: deferred, ChunkSize: 1000})
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if deferred && (res.Stats.ResumedFrom != at || res.Stats.Sent != 2500-at) {
				t.Errorf("stopped at %d: stats are %+v", at, res.Stats)
			}
		}
		wantNothingKept(t, store)
	}
}

func TestStreamStatsAreWhatTheServerSaw(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(3500)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: faults.RespondAfter(500, "")})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
	if err != nil {
		t.Fatal(err)
	}
	s := res.Stats
	if s.Sent != 4500 || s.Resent != 1000 || s.Sent != bytesReceived(srv) || s.Retries != 1 || s.Requests["HEAD"] != 1 || s.Uploaded != 3500 {
		t.Errorf("stats are %+v, %d bytes received", s, bytesReceived(srv))
	}
	for _, method := range []string{"OPTIONS", "POST", "PATCH", "HEAD"} {
		if s.Requests[method] != srv.Count(method) {
			t.Errorf("%d %s requests counted, %d received", s.Requests[method], method, srv.Count(method))
		}
	}
	if res.Creation.StatusCode != 201 || res.LastPatch.StatusCode != 204 {
		t.Errorf("answers are %v and %v", res.Creation, res.LastPatch)
	}
}

// namedStream is a stream with a name.
type namedStream struct{ tus.Source }

func (s namedStream) Stat(ctx context.Context) (tus.SourceInfo, error) {
	info, err := s.Source.Stat(ctx)
	info.Name = "stdin"
	return info, err
}

func TestStream_KeepsItsName(t *testing.T) {
	for _, size := range []int{0, 500, 5000} {
		srv := tustest.NewServer(t, nil)
		u, err := newClient(t, srv.Endpoint(), nil).NewUploader(namedStream{tus.Reader(bytes.NewReader(randomBytes(size)))}, chunked())
		if err != nil {
			t.Fatal(err)
		}
		for u.State() != tus.StateCreating {
			if err := u.Step(testContext(t)); err != nil {
				t.Fatal(err)
			}
		}
		before := u.Name()
		u.Pause()
		if _, err := u.Run(testContext(t)); err != nil || before != "stdin" || u.Name() != "stdin" {
			t.Errorf("%d bytes: name is %q, and %q after a pause, %v", size, before, u.Name(), err)
		}
	}
}
