package tus_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// verifying starts a server that verifies checksums, and returns it with a client that
// has all algorithms.
func verifying(t *testing.T, opts tustest.Options) (*tustest.Server, *tus.Client) {
	t.Helper()
	srv := tustest.NewServer(t, &opts)
	return srv, newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()})
}

// shapes are the kinds of uploads, by name.
func shapes(data []byte, chunk int64) map[string]func(*tus.Client, *testing.T, string) (*tus.Result, error) {
	upload := func(opts tus.UploadOptions) func(*tus.Client, *testing.T, string) (*tus.Result, error) {
		return func(c *tus.Client, t *testing.T, choice string) (*tus.Result, error) {
			path := filepath.Join(t.TempDir(), "data")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				return nil, err
			}
			opts.Checksum = choice
			return c.UploadFile(testContext(t), path, &opts)
		}
	}
	return map[string]func(*tus.Client, *testing.T, string) (*tus.Result, error){
		"single":      upload(tus.UploadOptions{CreationLimit: -1}),
		"chunked":     upload(tus.UploadOptions{ChunkSize: chunk}),
		"parallel":    upload(tus.UploadOptions{ChunkSize: chunk, Parallel: 3, ParallelOptions: tus.ParallelOptions{MinPartSize: 2 * chunk}}),
		"with upload": upload(tus.UploadOptions{}),
		"stream": func(c *tus.Client, t *testing.T, choice string) (*tus.Result, error) {
			return c.Upload(testContext(t), tus.Reader(iotest.HalfReader(bytes.NewReader(data))), &tus.UploadOptions{ChunkSize: chunk, Checksum: choice})
		},
		"steps": func(c *tus.Client, t *testing.T, choice string) (*tus.Result, error) {
			u, err := c.NewUploader(tus.Bytes(data), &tus.UploadOptions{ChunkSize: chunk, Checksum: choice})
			if err != nil {
				return nil, err
			}
			for range 1000 {
				if u.State().Final() {
					break
				}
				err = u.Step(testContext(t))
			}
			if u.State() != tus.StateComplete {
				return nil, err
			}
			return u.Run(testContext(t))
		},
	}
}

func TestChecksum_EveryAlgorithmStoresExactBytes(t *testing.T) {
	data := randomBytes(100_003)
	for _, name := range []string{"sha1", "md5", "sha256", "sha512", "crc32", "auto"} {
		for shape, upload := range shapes(data, 9000) {
			for trailer, extensions := range map[string][]string{"header": tustest.Without("checksum-trailer"), "trailer": nil} {
				for fault, inject := range map[string][]tustest.Fault{
					"clean": nil,
					"corrupted": {
						{Method: "PATCH", Skip: 3, Action: flipByte}, {Method: "PATCH", Action: flipByte},
						{Method: "POST", Action: flipByte},
					},
				} {
					t.Run(strings.Join([]string{name, shape, trailer, fault}, "/"), func(t *testing.T) {
						srv, client := verifying(t, tustest.Options{Extensions: extensions})
						srv.Inject(inject...)
						choice := name
						if name == "auto" {
							choice = ""
						}
						res, err := upload(client, t, choice)
						if err != nil {
							t.Fatal(err)
						}
						wantStored(t, srv.Handler, res.URL, data)
						want := name
						if name == "auto" {
							want = "sha256"
						}
						if res.Checksum != want {
							t.Errorf("checksum is %q", res.Checksum)
						}
						for _, r := range srv.Requests() {
							value := r.Header.Get("Upload-Checksum")
							if r.Body > 0 && trailer == "header" && !strings.HasPrefix(value, want+" ") {
								t.Errorf("%s with %d bytes has checksum %q", r.Method, r.Body, value)
							}
						}
					})
				}
			}
		}
	}
}

// flipByte changes a byte of the body before the server reads it.
func flipByte(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	r.Body = &flipping{ReadCloser: r.Body}
	h.Serve(w, r)
}

type flipping struct {
	io.ReadCloser
	done bool
}

func (f *flipping) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if n > 0 && !f.done {
		f.done = true
		p[n/2] ^= 0x40
	}
	return n, err
}

func TestChecksum_RepeatedMismatchEndsUpload(t *testing.T) {
	for _, extensions := range [][]string{nil, tustest.Without("checksum-trailer")} {
		srv, client := verifying(t, tustest.Options{Extensions: extensions})
		srv.Inject(tustest.Fault{Method: "PATCH", From: 2000, Times: -1, Action: faults.RespondAfter(460, "checksum mismatch")})
		res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(5000)), &tus.UploadOptions{ChunkSize: 1000})
		wantError(t, err, tus.ErrChecksumMismatch)
		var e *tus.Error
		if !errors.As(err, &e) || e.Offset != 2000 || e.StatusCode != 460 || res.Offset != 2000 {
			t.Errorf("error is %#v, result %+v", e, res)
		}
		if !strings.Contains(err.Error(), "1000 bytes at offset 2000") {
			t.Errorf("error is %v", err)
		}
		if n := srv.Count("PATCH"); n != 2+4 { // three retries
			t.Errorf("%d PATCH requests", n)
		}
	}
}

func TestChecksum_MismatchesCountPerChunk(t *testing.T) {
	srv, client := verifying(t, tustest.Options{})
	n := 0
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if n++; n%3 != 0 {
			flipByte(w, r, h)
			return
		}
		h.Serve(w, r)
	}})
	data := randomBytes(10_000)
	res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestNamedAlgorithm_UnsupportedCreatesNothing(t *testing.T) {
	for name, opts := range map[string]tustest.Options{
		"other algorithms": {ChecksumAlgorithms: []string{"md5", "crc32"}},
		"no extension":     {Extensions: []string{"creation", "creation-with-upload"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv, client := verifying(t, opts)
			_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(100)), &tus.UploadOptions{Checksum: "sha1"})
			wantError(t, err, tus.ErrUnsupported)
			wantError(t, err, errors.ErrUnsupported)
			wantMethods(t, srv.Handler, "OPTIONS")
		})
	}
}

func TestUnknownAlgorithm_FailsBeforeAnyRequest(t *testing.T) {
	srv, client := verifying(t, tustest.Options{})
	for _, name := range []string{"xxh3", "auto", "OFF", "a b"} {
		_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(100)), &tus.UploadOptions{Checksum: name})
		wantError(t, err, tus.ErrInvalidInput)
		if !strings.Contains(err.Error(), strconv.Quote(name)) {
			t.Errorf("error is %q, want one that names %q", err, name)
		}
	}
	wantMethods(t, srv.Handler)
}

func TestInvalidAlgorithms_FailNewClient(t *testing.T) {
	for want, algorithm := range map[string]checksum.Algorithm{
		`Options.Checksums: "own" has a nil New`: {Name: "own"},
		`Options.Checksums: "md5" is not unique`: {Name: "md5", New: md5.New},
	} {
		_, err := tus.NewClient("http://tus.test/files/", &tus.Options{Checksums: append(checksum.Builtin(), algorithm)})
		wantError(t, err, tus.ErrInvalidInput)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error is %q, want one with %q", err, want)
		}
	}
}

func TestChecksum_NotSentIfOffOrNotOffered(t *testing.T) {
	for name, test := range map[string]struct {
		opts    tustest.Options
		choice  string
		methods []string
	}{
		"auto, not offered": {tustest.Options{Extensions: []string{"creation"}}, "", []string{"OPTIONS", "POST", "PATCH"}},
		"off":               {tustest.Options{}, "off", []string{"POST", "PATCH"}},
		"unknown offers":    {tustest.Options{ChecksumAlgorithms: []string{"whirlpool", "fnv"}}, "", []string{"OPTIONS", "POST", "PATCH"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv, client := verifying(t, test.opts)
			data := randomBytes(12 << 20)
			source := &countingSource{Source: tus.Bytes(data)}
			res, err := client.Upload(testContext(t), source, &tus.UploadOptions{Checksum: test.choice})
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			wantMethods(t, srv.Handler, test.methods...) // a single PATCH
			for _, r := range srv.Requests() {
				if r.Header.Get("Upload-Checksum") != "" || res.Checksum != "" {
					t.Errorf("a checksum was sent")
				}
			}
			if n := source.bytes.Load(); n != int64(len(data)) {
				t.Errorf("%d bytes were read of %d", n, len(data))
			}
		})
	}
}

func TestChecksum_RefusedAlgorithmIsReplaced(t *testing.T) {
	refuse := func(names ...string) tustest.Action {
		return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			for _, name := range names {
				if strings.HasPrefix(r.Header.Get("Upload-Checksum"), name+" ") {
					faults.RespondAfter(400, "unsupported checksum algorithm")(w, r, h)
					return
				}
			}
			h.Serve(w, r)
		}
	}
	for want, refused := range map[string][]string{"sha1": {"sha256"}, "": {"sha256", "sha1", "sha512", "md5", "crc32"}} {
		t.Run("remaining: "+want, func(t *testing.T) {
			srv, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
			srv.Inject(tustest.Fault{Times: -1, Action: refuse(refused...)})
			data := randomBytes(5000)
			res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1000})
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if res.Checksum != want {
				t.Errorf("checksum is %q", res.Checksum)
			}
		})
	}
	srv, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
	srv.Inject(tustest.Fault{Times: -1, Action: refuse("md5")})
	_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(5000)), &tus.UploadOptions{ChunkSize: 1000, Checksum: "md5"})
	var e *tus.Error
	if !errors.As(err, &e) || e.StatusCode != 400 {
		t.Errorf("error is %v", err)
	}
}

func TestAddedAlgorithm_IsUsed(t *testing.T) {
	algorithms := append(checksum.Builtin(), checksum.Algorithm{Name: "own", New: sha1.New})
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer"), ChecksumAlgorithms: []string{"own"}})
	var seen []string
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		seen = append(seen, r.Header.Get("Upload-Checksum"))
		r.Header.Del("Upload-Checksum") // the server does not support it
		h.Serve(w, r)
	}})
	client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: algorithms})
	data := randomBytes(2000)
	res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1000, CreationLimit: -1})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	for i, value := range seen {
		sum := sha1.Sum(data[i*1000 : (i+1)*1000])
		if value != "own "+base64.StdEncoding.EncodeToString(sum[:]) {
			t.Errorf("chunk %d has checksum %q", i, value)
		}
	}
	if len(seen) != 2 {
		t.Errorf("%d chunks", len(seen))
	}
}
