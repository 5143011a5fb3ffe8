package tus_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
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

// streamLengths are around the multiples of a chunk of 1000 bytes.
var streamLengths = []int{0, 1, 999, 1000, 1001, 1999, 2000, 2001, 2999, 3000, 3001}

func TestStream_AnyLengthIsStored(t *testing.T) {
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
	if n <= 1000 { // the size is known before the creation
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
	// If the end is found only after a full chunk, an empty request sends the length.
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

func TestStream_DefaultChunkSizeIs8MiB(t *testing.T) {
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

func TestStream_WithoutDeferredLength(t *testing.T) {
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
				opts.BufferLimit = 0 // not needed
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
	t.Run("not buffered with the extension", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		data := randomBytes(2500)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), &tus.UploadOptions{ChunkSize: 1000, BufferLimit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		wantMethods(t, srv.Handler, "OPTIONS", "POST", "PATCH", "PATCH", "PATCH")
	})
	t.Run("read error while buffering", func(t *testing.T) {
		srv := tustest.NewServer(t, unable)
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(failingAfter(2500, errUnplugged)), &tus.UploadOptions{ChunkSize: 1000, BufferLimit: 1 << 20})
		wantError(t, err, errUnplugged)
		wantMethods(t, srv.Handler, "OPTIONS")
	})
	t.Run("capabilities are unknown", func(t *testing.T) {
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

func TestStream_Steps(t *testing.T) {
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

func TestStream_Checksums(t *testing.T) {
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
	t.Run("advertised algorithm is refused", func(t *testing.T) {
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

func TestStream_NeedsNoStore(t *testing.T) {
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
	_, err := client.Upload(testContext(t), tus.Reader(failingAfter(2500, errUnplugged)), chunked())
	wantError(t, err, errUnplugged)
	wantNothingKept(t, store)
}

// discardingServer starts a server that discards all data.
func discardingServer(t *testing.T) *httptest.Server {
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

func TestStream_ChunkSizeAboveLength(t *testing.T) {
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

func TestStream_MemoryDoesNotGrow(t *testing.T) {
	client := newClient(t, discardingServer(t).URL+"/files/", nil)
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
	allocated(8 << 20) // fills connections and pools
	small, large := allocated(16<<20), allocated(256<<20)
	// The cost of each request adds up; the data of the stream does not.
	if large > small+16<<20 {
		t.Errorf("16 MiB took %d KiB, 256 MiB took %d KiB", small>>10, large>>10)
	}
}

func TestStream_StatsMatchServer(t *testing.T) {
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
		t.Errorf("responses are %v and %v", res.Creation, res.LastPatch)
	}
}

func TestStream_KeepsItsName(t *testing.T) {
	for _, size := range []int{0, 500, 5000} {
		srv := tustest.NewServer(t, nil)
		source := &hookedSource{Source: tus.Reader(bytes.NewReader(randomBytes(size))), changeInfo: func(info *tus.SourceInfo) { info.Name = "stdin" }}
		u, err := newClient(t, srv.Endpoint(), nil).NewUploader(source, chunked())
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
