package integration_test

import (
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus"
)

func TestCapabilities_MatchTusd(t *testing.T) {
	server := tusdtest.Start(t, &tusdtest.Options{MaxSize: 12345})
	client := newClient(t, server.Endpoint(), tus.Options{})
	for range 2 {
		got, err := client.Capabilities(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"creation", "creation-with-upload", "termination",
			"concatenation", "creation-defer-length",
		}
		if !slices.Equal(got.Extensions, want) || !slices.Equal(got.Versions, []string{"1.0.0"}) || got.MaxSize != 12345 {
			t.Errorf("capabilities are %+v", got)
		}
	}
	wantMethods(t, server.Methods(), "OPTIONS")
}

func TestInfo_ReturnsTusdState(t *testing.T) {
	server := tusdtest.Start(t, nil)
	other := newRawClient(t)
	client := newClient(t, server.Endpoint(), tus.Options{})

	known := other.create(server.Endpoint(), "Upload-Length", "10", "Upload-Metadata", "name YS50eHQ=,empty")
	other.patch(known, "0", []byte("abc"))
	info, err := client.Info(testContext(t), known)
	if err != nil {
		t.Fatal(err)
	}
	if info.Offset != 3 || info.Length != 10 || info.LengthDeferred || info.Complete() ||
		!maps.Equal(info.Metadata, tus.Metadata{"name": "a.txt", "empty": ""}) {
		t.Errorf("info is %+v", info)
	}

	deferred := other.create(server.Endpoint(), "Upload-Defer-Length", "1", "Upload-Concat", "partial")
	info, err = client.Info(testContext(t), deferred)
	if err != nil {
		t.Fatal(err)
	}
	if info.Offset != 0 || !info.LengthDeferred || info.Complete() || info.Metadata != nil || info.Concat != "partial" {
		t.Errorf("info is %+v", info)
	}

	_, err = client.Info(testContext(t), server.Endpoint()+"nothing")
	wantError(t, err, tus.ErrUploadGone)
}

func TestTerminate_RemovesFiles(t *testing.T) {
	server := tusdtest.Start(t, nil)
	client := newClient(t, server.Endpoint(), tus.Options{})
	f := newFile(t, 10*mib)
	complete, err := client.UploadFile(testContext(t), f.path, nil)
	if err != nil {
		t.Fatal(err)
	}
	half, err := client.UploadFile(testContext(t), f.path, &tus.UploadOptions{StopAt: 5 * mib})
	wantError(t, err, tus.ErrPaused)
	for _, url := range []string{complete.URL, half.URL, half.URL} { // the last is already deleted
		if err := client.Terminate(testContext(t), url); err != nil {
			t.Fatal(err)
		}
	}
	wantEmpty(t, server)
	_, err = client.Resume(testContext(t), half.URL, tus.File(f.path), nil)
	wantError(t, err, tus.ErrUploadGone)
}

func TestUpload_AboveMaxSizeIsRefused(t *testing.T) {
	const limit = 1 * mib
	server := tusdtest.Start(t, &tusdtest.Options{MaxSize: limit})
	checking := newClient(t, server.Endpoint(), tus.Options{})
	unchecked := newClient(t, server.Endpoint(), tus.Options{Capabilities: &tus.Capabilities{}})

	f := newFile(t, limit)
	res, err := checking.UploadFile(testContext(t), f.path, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, server, res.URL, f)

	f = newFile(t, limit+1)
	before := server.Count("POST")
	_, err = checking.UploadFile(testContext(t), f.path, nil)
	wantError(t, err, tus.ErrTooLarge)
	if server.Count("POST") != before {
		t.Error("a creation above Tus-Max-Size was sent")
	}
	res, err = unchecked.UploadFile(testContext(t), f.path, nil)
	wantError(t, err, tus.ErrTooLarge)
	if server.Count("POST") != before+1 || res.Stats.Retries > 0 {
		t.Errorf("%d creations were refused, %d retries", server.Count("POST")-before, res.Stats.Retries)
	}
	wantNoLeftovers(t, server)
}

func TestMetadata_RoundTrips(t *testing.T) {
	server := tusdtest.Start(t, nil)
	client := newClient(t, server.Endpoint(), tus.Options{})
	given := tus.Metadata{
		"filename":                         "Übergrößenträger — 日本語 🙂.txt",
		"empty":                            "",
		"lines":                            "a\r\nb\tc\x00d",
		"commas":                           "a,b c=,,==",
		"long":                             strings.Repeat("x", 4000),
		"!#$%&'*+-.^_`|~/:;<>?@[]{}\"\\()": "odd key",
	}
	res, err := client.Upload(testContext(t), tus.Bytes([]byte("hello")), &tus.UploadOptions{Metadata: given})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := server.Info(res.URL)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(stored.MetaData, handler.MetaData(given)) {
		t.Errorf("tusd stored %q", stored.MetaData)
	}
	info, err := client.Info(testContext(t), res.URL)
	if err != nil || !maps.Equal(info.Metadata, given) {
		t.Errorf("info has %q, %v", info.Metadata, err)
	}

	// tusd stores metadata as JSON, which cannot hold bytes that are not UTF-8: look
	// at the request instead.
	binary := tus.Metadata{"binary": "\xff\xfe\x00\x80"}
	if _, err := client.Upload(testContext(t), tus.Bytes([]byte("hello")), &tus.UploadOptions{Metadata: binary}); err != nil {
		t.Fatal(err)
	}
	posts := server.Of("POST")
	sent := handler.ParseMetadataHeader(posts[len(posts)-1].Header.Get("Upload-Metadata"))
	if !maps.Equal(sent, binary) {
		t.Errorf("tusd got %q", sent)
	}
}

func TestResume_UploadOfAnotherClient(t *testing.T) {
	const size, there = 10 * mib, 3*mib + 5
	f := newFile(t, size)
	length := strconv.Itoa(size)
	tests := map[string]struct {
		create []string
		stored int64
		want   []string
	}{
		"known length, empty":       {[]string{"Upload-Length", length}, 0, []string{"HEAD", "PATCH"}},
		"known length, some bytes":  {[]string{"Upload-Length", length}, there, []string{"HEAD", "PATCH"}},
		"known length, complete":    {[]string{"Upload-Length", length}, size, []string{"HEAD"}},
		"deferred, empty":           {[]string{"Upload-Defer-Length", "1"}, 0, []string{"HEAD", "PATCH"}},
		"deferred, some bytes":      {[]string{"Upload-Defer-Length", "1"}, there, []string{"HEAD", "PATCH"}},
		"deferred, all but length":  {[]string{"Upload-Defer-Length", "1"}, size, []string{"HEAD", "PATCH"}},
		"partial of another upload": {[]string{"Upload-Length", length, "Upload-Concat", "partial"}, there, []string{"HEAD", "PATCH"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := tusdtest.Start(t, nil)
			other := newRawClient(t)
			url := other.create(server.Endpoint(), test.create...)
			if test.stored > 0 {
				other.patch(url, "0", f.part(t, 0, test.stored))
			}
			before := len(server.Requests())
			client := newClient(t, server.Endpoint(), tus.Options{})
			res, err := client.Resume(testContext(t), url, tus.File(f.path), nil)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, server, url, f)
			wantNoLeftovers(t, server) // the length is not deferred any more
			wantContiguousPatches(t, &server.Journal, f)
			wantMethods(t, server.Methods()[before:], test.want...)
			if res.URL != url || res.Offset != size || res.Stats.ResumedFrom != test.stored || res.Stats.Sent != size-test.stored {
				t.Errorf("result is %+v", res)
			}
		})
	}
}

func TestResume_OtherLengthIsRefused(t *testing.T) {
	server := tusdtest.Start(t, nil)
	other := newRawClient(t)
	f := newFile(t, 1000)
	client := newClient(t, server.Endpoint(), tus.Options{})
	for _, length := range []string{"999", "1001"} {
		url := other.create(server.Endpoint(), "Upload-Length", length)
		_, err := client.Resume(testContext(t), url, tus.File(f.path), nil)
		wantError(t, err, tus.ErrSourceMismatch)
		wantSize(t, server, url, 0)
	}
	url := other.create(server.Endpoint(), "Upload-Defer-Length", "1")
	other.patch(url, "0", make([]byte, 1001))
	_, err := client.Resume(testContext(t), url, tus.File(f.path), nil)
	wantError(t, err, tus.ErrSourceMismatch)
	wantSize(t, server, url, 1001)
}

func TestOverridePatchMethod_ReachesTusd(t *testing.T) {
	server := tusdtest.Start(t, nil)
	client := newClient(t, server.Endpoint(), tus.Options{OverridePatchMethod: true})
	f := newFile(t, 5*mib)
	res, err := client.UploadFile(testContext(t), f.path, &tus.UploadOptions{ChunkSize: 2 * mib})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, server, res.URL, f)
	if err := client.Terminate(testContext(t), res.URL); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, server.Methods(), "OPTIONS", "POST", "POST", "POST", "POST", "DELETE")
	wantEmpty(t, server)
}

func TestReader_UnknownSizeIsStored(t *testing.T) {
	const chunk = 1 * mib
	for _, size := range []int64{0, 1, chunk - 1, chunk, chunk + 1, 10 * mib} {
		t.Run(strconv.FormatInt(size, 10), func(t *testing.T) {
			server := tusdtest.Start(t, nil)
			f := newFile(t, size)
			stream := strings.NewReader(string(f.part(t, 0, size)))
			client := newClient(t, server.Endpoint(), tus.Options{})
			res, err := client.Upload(testContext(t), tus.Reader(struct{ *strings.Reader }{stream}), &tus.UploadOptions{ChunkSize: chunk})
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, server, res.URL, f)
			wantNoLeftovers(t, server)
		})
	}
}

// TestStreams_AreStoredInFewestRequests uploads the same bytes with a ReaderN, a Writer with
// and without a size, and their first chunk in the creation.
func TestStreams_AreStoredInFewestRequests(t *testing.T) {
	server := tusdtest.Start(t, nil)
	client := newClient(t, server.Endpoint(), tus.Options{Capabilities: &tus.Capabilities{
		Extensions: []string{"creation", "creation-with-upload", "creation-defer-length"},
	}})
	f := newFile(t, 5*mib+1)
	write := func(size int64) func(io.Reader, *tus.UploadOptions) (*tus.Result, error) {
		return func(r io.Reader, opts *tus.UploadOptions) (*tus.Result, error) {
			w := client.NewWriter(testContext(t), opts)
			w.Size = size
			_, err := io.Copy(w, r)
			err = errors.Join(err, w.Close())
			return w.Result(), err
		}
	}
	for name, upload := range map[string]func(io.Reader, *tus.UploadOptions) (*tus.Result, error){
		"ReaderN": func(r io.Reader, opts *tus.UploadOptions) (*tus.Result, error) {
			return client.Upload(testContext(t), tus.ReaderN(r, f.size), opts)
		},
		"Writer": write(0), "Writer with Size": write(f.size),
	} {
		for _, firstChunk := range []bool{false, true} {
			before := len(server.Methods())
			reader, err := os.Open(f.path)
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			res, err := upload(reader, &tus.UploadOptions{ChunkSize: 2 * mib, FirstChunkInCreation: firstChunk})
			if err != nil {
				t.Fatalf("%s, first chunk %v: %v", name, firstChunk, err)
			}
			wantStored(t, server, res.URL, f)
			want := []string{"POST", "PATCH", "PATCH", "PATCH"}
			if firstChunk {
				want = want[:3]
			}
			wantMethods(t, server.Methods()[before:], want...)
		}
	}
}
