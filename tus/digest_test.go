package tus_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// sha256Of returns the digest of data, as Result.Digest.
func sha256Of(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// digested returns opts with a digest.
func digested(opts tus.UploadOptions) *tus.UploadOptions {
	opts.Digest = "sha256"
	return &opts
}

// wantDigest fails unless the server has data, and the result the digest of it.
func wantDigest(t testing.TB, h *tustest.Handler, res *tus.Result, data []byte) {
	t.Helper()
	wantStored(t, h, res.URL, data)
	if want := sha256Of(data); res.Digest != want {
		t.Errorf("digest is %q, want %q", res.Digest, want)
	}
}

func TestDigest_IsThatOfAnySource(t *testing.T) {
	chunk := int64(1 << 20)
	if testing.Short() {
		chunk = 1 << 17
	}
	size := 3*chunk + 17
	data := randomBytes(int(size))
	path := tempFile(t, data)
	sources := map[string]func() tus.Source{
		"file":   func() tus.Source { return tus.File(path) },
		"bytes":  func() tus.Source { return tus.Bytes(data) },
		"seeker": func() tus.Source { return tus.ReadSeeker(bytes.NewReader(data), size) },
		"stream": func() tus.Source { return tus.Reader(bytes.NewReader(data)) },
		"file of one reader": func() tus.Source {
			return &hookedSource{Source: tus.File(path), changeInfo: func(i *tus.SourceInfo) { i.Sequential = true }}
		},
	}
	ways := map[string]tus.UploadOptions{
		"whole": {CreationLimit: -1}, "one request": {CreationLimit: size}, "chunks": {ChunkSize: chunk},
		"checksums": {ChunkSize: chunk, Checksum: "sha1"}, "deferred length": {DeferLength: true, ChunkSize: chunk},
		"parts": {Parallel: 3, ParallelOptions: tus.ParallelOptions{MinPartSize: chunk}},
	}
	for _, secure := range []bool{false, true} {
		for source, open := range sources {
			for way, opts := range ways {
				t.Run(fmt.Sprintf("%s/%s/TLS=%v", source, way, secure), func(t *testing.T) {
					h := tustest.NewHandler(nil)
					srv, httpClient := httptest.NewServer(h), (*http.Client)(nil)
					if secure {
						srv.Close()
						srv = httptest.NewTLSServer(h)
						httpClient = srv.Client()
					}
					defer srv.Close()
					client := newClient(t, srv.URL+"/files/", &tus.Options{HTTPClient: httpClient, Checksums: checksum.Builtin()})
					res, err := client.Upload(testContext(t), open(), digested(opts))
					if err != nil {
						t.Fatal(err)
					}
					wantDigest(t, h, res, data)
				})
			}
		}
	}
}

func TestDigest_OfEmptySource(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	for name, source := range map[string]tus.Source{"bytes": tus.Bytes(nil), "stream": tus.Reader(bytes.NewReader(nil)), "file": tus.File(tempFile(t, nil))} {
		res, err := client.Upload(testContext(t), source, digested(tus.UploadOptions{}))
		if err != nil || res.Digest != sha256Of(nil) {
			t.Errorf("%s: %q, %v", name, res.Digest, err)
		}
	}
}

func TestDigest_NameInAnyCase(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	data := randomBytes(1000)
	res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Digest: "SHA512"})
	if want := fmt.Sprintf("sha512:%x", sha512.Sum512(data)); err != nil || res.Digest != want {
		t.Errorf("%q, %v", res.Digest, err)
	}
	if res, err = client.Upload(testContext(t), tus.Bytes(data), nil); err != nil || res.Digest != "" {
		t.Errorf("without the option: %q, %v", res.Digest, err)
	}
}

func TestDigest_UnknownNameIsRefused(t *testing.T) {
	client := newClient(t, "http://localhost/files/", nil)
	_, err := client.NewUploader(tus.Bytes(nil), &tus.UploadOptions{Digest: "sha3"})
	wantError(t, err, tus.ErrInvalidInput)
	if want := `invalid input: UploadOptions.Digest is "sha3", not one of sha256, sha1, sha512, md5, crc32`; err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
}

func TestDigest_ByHand(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	const size = 5 << 20
	data := randomBytes(size)
	for name, opts := range map[string]tus.UploadOptions{
		"chunks": {ChunkSize: 1 << 20}, "paused": {StopAt: 2_000_000}, "parts": {Parallel: 3, ParallelOptions: tus.ParallelOptions{MinPartSize: 1 << 20}},
	} {
		u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.File(tempFile(t, data)), digested(opts))
		if err != nil {
			t.Fatal(err)
		}
		for !u.State().Final() {
			if err := u.Step(testContext(t)); err != nil && !errors.Is(err, tus.ErrPaused) {
				t.Fatal(name, err)
			}
		}
		res, err := u.Run(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		wantDigest(t, srv.Handler, res, data)
	}
}

func TestDigest_ResentBytesCountOnce(t *testing.T) {
	data := randomBytes(2 << 20)
	path := tempFile(t, data)
	for name, fault := range map[string]tustest.Action{
		"cut": tustest.CutAfter(700_000), "lost bytes": faults.Rewind(100_000), "lost upload": faults.Vanish(), "short write": faults.AcceptOnly(300_001),
	} {
		for source, open := range map[string]func() tus.Source{
			"file": func() tus.Source { return tus.File(path) }, "bytes": func() tus.Source { return tus.Bytes(data) },
			"seeker": func() tus.Source { return tus.ReadSeeker(bytes.NewReader(data), int64(len(data))) },
		} {
			t.Run(name+"/"+source, func(t *testing.T) {
				srv := tustest.NewServer(t, nil)
				srv.Inject(tustest.Fault{Method: http.MethodPatch, Skip: 1, Action: fault})
				res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), open(), digested(tus.UploadOptions{ChunkSize: 800_000}))
				if err != nil {
					t.Fatal(err)
				}
				wantDigest(t, srv.Handler, res, data)
			})
		}
	}
}

func TestDigest_BytesInMemoryAreReadOnce(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(900_000)
	source := &countingSource{Source: tus.Bytes(data)}
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, digested(tus.UploadOptions{CreationLimit: -1}))
	if err != nil {
		t.Fatal(err)
	}
	wantDigest(t, srv.Handler, res, data)
	if n := source.bytes.Load(); n != int64(len(data)) {
		t.Errorf("%d bytes were read of %d", n, len(data))
	}
}

func TestDigest_OfStreamAsItIsRead(t *testing.T) {
	data := randomBytes(100_000)
	for name, r := range map[string]io.Reader{
		"bytewise": iotest.OneByteReader(bytes.NewReader(data)), "end with data": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		srv := tustest.NewServer(t, nil)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(r), digested(tus.UploadOptions{ChunkSize: 30_000}))
		if err != nil {
			t.Fatal(name, err)
		}
		wantDigest(t, srv.Handler, res, data)
	}
}

func TestDigest_OfBrokenStreamIsNotReported(t *testing.T) {
	broken := errors.New("pipe is broken")
	srv := tustest.NewServer(t, nil)
	source := tus.Reader(io.MultiReader(bytes.NewReader(randomBytes(70_000)), iotest.ErrReader(broken)))
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, digested(tus.UploadOptions{ChunkSize: 30_000}))
	wantError(t, err, broken)
	if res.Digest != "" {
		t.Errorf("digest is %q", res.Digest)
	}
}

func TestDigest_OfReaderNAndWriter(t *testing.T) {
	data := randomBytes(100_000)
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	res, err := client.Upload(testContext(t), tus.ReaderN(bytes.NewReader(data), int64(len(data))), digested(tus.UploadOptions{ChunkSize: 30_000}))
	if err != nil {
		t.Fatal(err)
	}
	wantDigest(t, srv.Handler, res, data)
	w := client.NewWriter(testContext(t), digested(tus.UploadOptions{ChunkSize: 30_000}))
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantDigest(t, srv.Handler, w.Result(), data)
}
