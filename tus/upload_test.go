package tus_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/fstest"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestUpload_StoresExactBytes(t *testing.T) {
	const chunk = 64 << 10
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 10*chunk + 7} {
		for _, chunkSize := range []int64{0, 1000, chunk} {
			for _, extensions := range [][]string{tustest.Without(), {"creation"}} {
				t.Run(fmt.Sprintf("size=%d/chunk=%d/extensions=%d", size, chunkSize, len(extensions)), func(t *testing.T) {
					srv := tustest.NewServer(t, &tustest.Options{Extensions: extensions})
					data := randomBytes(size)
					path := tempFile(t, data)
					res, err := newClient(t, srv.Endpoint(), nil).UploadFile(testContext(t), path, &tus.UploadOptions{ChunkSize: chunkSize})
					if err != nil {
						t.Fatal(err)
					}
					wantStored(t, srv.Handler, res.URL, data)
					if res.Offset != int64(size) || res.Stats.Sent != int64(size) || res.Stats.Resent != 0 || res.Stats.Uploaded != int64(size) {
						t.Errorf("result is %+v", res)
					}
				})
			}
		}
	}
}

func TestUpload_EverySource(t *testing.T) {
	data := randomBytes(300_000)
	dir := t.TempDir()
	path := filepath.Join(dir, "data.bin")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if _, err := opened.Seek(17, io.SeekStart); err != nil { // must have no effect
		t.Fatal(err)
	}
	unlinkedPath := filepath.Join(dir, "unlinked.bin")
	if err := os.WriteFile(unlinkedPath, data, 0o600); err != nil {
		t.Fatal(err)
	}
	unlinked, err := os.Open(unlinkedPath)
	if err != nil {
		t.Fatal(err)
	}
	defer unlinked.Close()
	if err := os.Remove(unlinkedPath); err != nil {
		t.Skip("an open file cannot be removed here")
	}
	sources := map[string]func() tus.Source{
		"File":                func() tus.Source { return tus.File(path) },
		"OpenedFile":          func() tus.Source { return tus.OpenedFile(opened) },
		"OpenedFile unlinked": func() tus.Source { return tus.OpenedFile(unlinked) },
		"FSFile of the OS":    func() tus.Source { return tus.FSFile(os.DirFS(dir), "data.bin") },
		"FSFile in memory":    func() tus.Source { return tus.FSFile(fstest.MapFS{"d": {Data: data}}, "d") },
		"ReaderAt":            func() tus.Source { return tus.ReaderAt(bytes.NewReader(data), int64(len(data))) },
		"ReadSeeker":          func() tus.Source { return tus.ReadSeeker(bytes.NewReader(data), int64(len(data))) },
		"Bytes":               func() tus.Source { return tus.Bytes(data) },
	}
	for name, source := range sources {
		for _, chunkSize := range []int64{0, 70_000} {
			t.Run(fmt.Sprintf("%s/chunk=%d", name, chunkSize), func(t *testing.T) {
				srv := tustest.NewServer(t, nil)
				// A cut makes the client open the source within a chunk.
				srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(33_333)})
				res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source(), &tus.UploadOptions{
					ChunkSize: chunkSize, CreationLimit: -1})
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv.Handler, res.URL, data)
			})
		}
	}
	if at, _ := opened.Seek(0, io.SeekCurrent); at != 17 {
		t.Errorf("the file offset of the caller was moved to %d", at)
	}
}

func TestCreationWithUpload_OneRequestPerFile(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	data := randomBytes(1 << 20)
	for range 3 {
		res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if res.Creation.StatusCode != http.StatusCreated {
			t.Errorf("response to the creation is %+v", res.Creation)
		}
	}
	wantMethods(t, srv.Handler, "OPTIONS", "POST", "POST", "POST")
}

func TestCreationWithUpload_NotForLargerSource(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(1<<20 + 1)
	if _, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, srv.Handler, "POST", "PATCH", "PATCH")
	if n := srv.Requests()[0].Body; n != 0 {
		t.Errorf("the creation carried %d bytes", n)
	}
}

func TestEmptySource_OneCreationWithUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, nil)
	wantMethods(t, srv.Handler, "OPTIONS", "POST")
	sent := srv.Requests()[1].Header
	if sent.Get("Upload-Length") != "0" || sent.Get("Content-Length") != "0" || !carriesBytes(&http.Request{Header: sent}) {
		t.Errorf("creation is %v", sent)
	}
}

func TestCreationLimit_Modes(t *testing.T) {
	data := randomBytes(1000)
	tests := map[string]struct {
		limit      int64
		extensions []string
		want       []string
	}{
		"auto, advertised":     {0, nil, []string{"OPTIONS", "POST"}},
		"auto, not advertised": {0, []string{"creation"}, []string{"OPTIONS", "POST", "PATCH"}},
		"never":                {-1, nil, []string{"POST", "PATCH"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, &tustest.Options{Extensions: test.extensions})
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{CreationLimit: test.limit})
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			wantMethods(t, srv.Handler, test.want...)
		})
	}
}

func TestCreationWithUpload_PatchSendsTheRest(t *testing.T) {
	data := randomBytes(1000)
	tests := map[string]tustest.Action{
		"fewer bytes stored": faults.AcceptOnly(300),
		"body ignored": func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			io.Copy(io.Discard, r.Body)
			r.Body = http.NoBody
			r.Header.Del("Content-Type") // as for a server without the extension
			h.Serve(w, r)
		},
	}
	for name, action := range tests {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "POST", Action: action})
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), nil)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			wantMethods(t, srv.Handler, "OPTIONS", "POST", "PATCH")
		})
	}
}

func TestCreationWithUpload_RetryCarriesNoData(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.CutAfter(500)})
	data := randomBytes(1000)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	wantMethods(t, srv.Handler, "OPTIONS", "POST", "POST", "PATCH")
}

func TestCreationWithUpload_413IsSentByPatch(t *testing.T) {
	// A proxy in front of the server limits request bodies.
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Action: faults.RespondAfter(413, "<html>too large</html>")})
	data := randomBytes(1000)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if res.Stats.Retries != 0 {
		t.Errorf("%d retries", res.Stats.Retries)
	}
}

func TestRequest_HeadersOfProtocol(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	data := randomBytes(2500)
	res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{
		ChunkSize: 1000,
		Metadata:  tus.Metadata{"filename": "ä.txt", "empty": "", "a": "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Info(testContext(t), res.URL); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Capabilities(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := client.Terminate(testContext(t), res.URL); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, srv.Handler, "POST", "PATCH", "PATCH", "PATCH", "HEAD", "OPTIONS", "DELETE")
	offset := 0
	for _, r := range srv.Requests() {
		want := "1.0.0"
		if r.Method == "OPTIONS" {
			want = "" // section OPTIONS: the client SHOULD NOT send it
		}
		if got := r.Header.Get("Tus-Resumable"); got != want {
			t.Errorf("%s has Tus-Resumable %q, want %q", r.Method, got, want)
		}
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("%s has Accept-Encoding %q", r.Method, got)
		}
		switch r.Method {
		case "POST":
			if got, want := r.Header.Get("Upload-Metadata"), "a Yg==,empty,filename w6QudHh0"; got != want {
				t.Errorf("Upload-Metadata is %q, want %q", got, want)
			}
			if got := r.Header.Get("Upload-Length"); got != "2500" {
				t.Errorf("Upload-Length is %q", got)
			}
		case "PATCH":
			size := min(1000, 2500-offset)
			for name, want := range map[string]string{
				"Upload-Offset":  strconv.Itoa(offset),
				"Content-Length": strconv.Itoa(size),
				"Content-Type":   "application/offset+octet-stream",
			} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("PATCH at %d has %s %q, want %q", offset, name, got, want)
				}
			}
			offset += size
		}
	}
}

func TestOverridePatchMethod_OnlyPatchIsSentAsPost(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{OverridePatchMethod: true})
	data := randomBytes(1000)
	res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 999})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if err := client.Terminate(testContext(t), res.URL); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, srv.Handler, "POST", "POST", "POST", "DELETE")
	var overrides []string
	for _, r := range srv.Requests() {
		overrides = append(overrides, r.Header.Get("X-HTTP-Method-Override"))
	}
	if fmt.Sprint(overrides) != "[ PATCH PATCH ]" {
		t.Errorf("overrides are %q", overrides)
	}
	if res.Stats.Requests["PATCH"] != 2 {
		t.Errorf("stats count %v", res.Stats.Requests)
	}
}

func TestUpload_LargerThanTusMaxSize(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{MaxSize: 10})
	client := newClient(t, srv.Endpoint(), nil)
	big := tus.Bytes(randomBytes(9 << 20))
	_, err := client.Upload(testContext(t), big, nil) // refused by the server, as no probe was needed
	wantError(t, err, tus.ErrTooLarge)
	wantMethods(t, srv.Handler, "POST")
	_, err = client.Upload(testContext(t), tus.Bytes(randomBytes(100)), nil) // known from the probe
	wantError(t, err, tus.ErrTooLarge)
	wantMethods(t, srv.Handler, "POST", "OPTIONS")
}

// Some servers take a POST to an upload URL for a creation, whatever its header says.
func TestOverridePatchMethod_IgnoredIsAnError(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", r.URL.Path+"/2")
		w.Header().Set("Upload-Offset", strconv.FormatInt(n, 10))
		w.WriteHeader(http.StatusOK)
	}})
	_, err := newClient(t, srv.Endpoint(), &tus.Options{OverridePatchMethod: true}).Upload(testContext(t), tus.Bytes(randomBytes(3000)), whole())
	wantError(t, err, tus.ErrUnsupported)
	if n := len(srv.Requests()); n != 2 {
		t.Errorf("%d requests", n)
	}
}
