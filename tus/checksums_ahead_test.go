package tus_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Hashing is slower than sending in this test.
func TestHashAhead_StoresExactBytes(t *testing.T) {
	data := randomBytes(24<<20 + 1)
	path := tempFile(t, data)
	for name, chunk := range map[string]int64{"smaller than a buffer": 100_000, "several buffers": 1 << 20, "larger than the look-ahead": 40 << 20} {
		t.Run(name, func(t *testing.T) {
			srv, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: flipByte}, tustest.Fault{Method: "POST", Action: flipByte})
			res, err := client.UploadFile(testContext(t), path, &tus.UploadOptions{ChunkSize: chunk, Checksum: "sha512"})
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
		})
	}
}

// A source may use context values, such as a login or a trace.
func TestSource_OpenGetsContextValues(t *testing.T) {
	_, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
	type key struct{}
	var mu sync.Mutex
	opened := 0
	source := &hookedSource{Source: tus.Bytes(randomBytes(5000)), beforeOpen: func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if opened++; ctx.Value(key{}) != "login" {
			t.Errorf("open %d has a context without the value", opened)
		}
		return nil
	}}
	if _, err := client.Upload(context.WithValue(testContext(t), key{}, "login"), source, chunked()); err != nil {
		t.Fatal(err)
	}
	if opened < 10 {
		t.Errorf("opened %d times, want once for each of five checksums and chunks", opened)
	}
}

func TestHashAhead_HangingReadDoesNotDelayEnd(t *testing.T) {
	_, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
	release, hangs := make(chan struct{}), make(chan struct{})
	defer close(release)
	source := hangingSource{Source: tus.Bytes(randomBytes(5000)), from: 1000, read: sync.OnceFunc(func() {
		close(hangs)
		<-release
	})}
	wantEndWhenCanceled(t, client, source, chunked(), hangs)
}

// hangingSource is a source whose readers hang, even after Close, if they start at from
// or later.
type hangingSource struct {
	tus.Source
	from int64
	read func()
}

func (s hangingSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if offset < s.from {
		return s.Source.Open(ctx, offset)
	}
	return blockingSource{Source: s.Source, read: s.read}.Open(ctx, offset)
}

// cutBeyond closes each connection after limit bytes of a body.
func cutBeyond(limit int64) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
		if err != nil || int64(len(body)) > limit {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.Serve(w, r)
	}
}

// A server that verifies checksums stores nothing of an incomplete chunk. If every
// connection breaks before the end of a chunk, chunks become smaller.
func TestChecksum_BrokenConnectionsShrinkChunks(t *testing.T) {
	data := randomBytes(24 << 20)
	for name, extensions := range map[string][]string{"header": tustest.Without("checksum-trailer"), "trailer": nil} {
		for shape, opts := range map[string]tus.UploadOptions{"single": {}, "parallel": {Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 1 << 20}}} {
			t.Run(name+"/"+shape, func(t *testing.T) {
				srv, client := verifying(t, tustest.Options{Extensions: extensions})
				srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: cutBeyond(1 << 20)})
				res, err := client.Upload(testContext(t), tus.Bytes(data), &opts)
				// Three at the start, then one after 8 and one after 16 stored chunks.
				if most := 6 * max(1, opts.Parallel); err != nil || res.Stats.Requests["HEAD"] > most {
					t.Fatalf("%d chunks were lost, want at most %d: %v", res.Stats.Requests["HEAD"], most, err)
				}
				wantStored(t, srv.Handler, res.URL, data)
			})
		}
	}
	t.Run("larger again", func(t *testing.T) {
		srv, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
		srv.Inject(tustest.Fault{Method: "PATCH", Times: 2, Action: tustest.CutAfter(1 << 17)})
		res, err := client.Upload(testContext(t), tus.Bytes(data), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		var largest int64
		for _, r := range srv.Requests()[6:] {
			largest = max(largest, r.Body)
		}
		if largest < 4<<20 {
			t.Errorf("chunks grew to %d bytes", largest)
		}
	})
	t.Run("chunk size of the caller is kept", func(t *testing.T) {
		srv, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
		srv.Inject(tustest.Fault{Method: "PATCH", Times: 2, Action: tustest.CutAfter(1 << 20)})
		res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 6 << 20})
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		for _, r := range srv.Requests()[6:] {
			if r.Method == "PATCH" && r.Body != 6<<20 {
				t.Errorf("a chunk has %d bytes", r.Body)
			}
		}
	})
}

// Smaller chunks are cut from the buffer of the first. A chunk that grows must not start
// inside the buffer and end beyond it.
func TestChecksum_ShrinkingChunksReadSourceOnce(t *testing.T) {
	data := randomBytes(24 << 20)
	srv, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
	cuts := map[string]int{"0": 4, "524288": 1} // 8, 4, 2, 1 MiB; half of one is stored; a quarter
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		offset := r.Header.Get("Upload-Offset")
		if cuts[offset]--; cuts[offset] >= 0 {
			cutBeyond(300_000)(w, r, h)
			return
		}
		h.Serve(w, r)
	}})
	source := &countingSource{Source: &forwardSource{Source: tus.Bytes(data)}}
	res, err := client.Upload(testContext(t), source, nil)
	if err != nil || res.Stats.Requests["HEAD"] != 5 {
		t.Fatalf("%d chunks were lost: %v", res.Stats.Requests["HEAD"], err)
	}
	if n := source.bytes.Load(); n != int64(len(data)) {
		t.Errorf("%d of %d bytes were read", n, len(data))
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// A broken connection of an upload that is gone does not shrink the chunks of the next
// upload.
func TestChecksum_NewUploadKeepsChunkSize(t *testing.T) {
	data := randomBytes(24 << 20)
	srv, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer", "creation-with-upload")})
	srv.Inject(
		tustest.Fault{Method: "PATCH", Action: cutBeyond(100_000)},
		tustest.Fault{Method: "HEAD", Action: goneWith(404)},
		tustest.Fault{Method: "PATCH", Skip: 1, Action: faults.RefuseAlgorithm("sha256", "sha-256")},
	)
	res, err := client.Upload(testContext(t), tus.Bytes(data), nil)
	if err != nil || res.Stats.Restarts != 1 {
		t.Fatalf("%d restarts: %v", res.Stats.Restarts, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if n := srv.Count("PATCH"); n != 5 {
		t.Errorf("%d PATCH, want three of 8 MiB after the two that failed", n)
	}
}

// Some proxies refuse requests without Content-Length.
func TestTrailer_411FallsBackToHeader(t *testing.T) {
	data := randomBytes(100_003)
	for shape, upload := range shapes(data, 9000) {
		t.Run(shape, func(t *testing.T) {
			srv, client := verifying(t, tustest.Options{})
			needsSize := func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				if r.ContentLength < 0 {
					http.Error(w, "", http.StatusLengthRequired)
					return
				}
				h.Serve(w, r)
			}
			srv.Inject(tustest.Fault{Times: -1, Action: needsSize})
			res, err := upload(client, t, "")
			if err != nil || res.Stats.Retries != 0 || res.Checksum != "sha256" {
				t.Fatalf("checksum %q, %d retries: %v", res.Checksum, res.Stats.Retries, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
		})
	}
}

// Servers verify the checksum of a PATCH; some ignore that of a creation.
func TestChecksum_CreationCarriesNoData(t *testing.T) {
	data := randomBytes(3000)
	ignoring := func(t *testing.T) *tustest.Server {
		srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer")})
		srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			r.Header.Del("Upload-Checksum")
			faults.FlipBit(100)(w, r, h)
		}})
		return srv
	}
	for name, choice := range map[string]string{"automatic": "", "named": "sha1"} {
		srv := ignoring(t)
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()}).
			Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Checksum: choice})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		wantMethods(t, srv.Handler, "OPTIONS", "POST", "PATCH")
	}
}

func TestChecksum_OtherAlgorithmIsNotCompared(t *testing.T) {
	// The server refuses the algorithm of a chunk, and then the upload is gone. A
	// checksum of the old algorithm is not compared with one of the new.
	srv := tustest.NewServer(t, nil)
	srv.Inject(
		tustest.Fault{Method: "PATCH", Action: faults.RefuseAlgorithm("sha1", "sha256", "sha512", "crc32")},
		tustest.Fault{Method: "HEAD", Action: faults.Vanish()},
	)
	data := randomBytes(3000)
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()}).Upload(testContext(t), tus.Bytes(data), whole())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}
