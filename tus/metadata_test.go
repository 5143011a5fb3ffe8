package tus_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestMetadata_ReachesServer(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	want := tus.Metadata{"filename": "ä \x00\xff,=.txt", "empty": "", "!#$%&'*+-.^_`|~": "odd key", "big": strings.Repeat("x", 5000)}
	res, err := client.Upload(testContext(t), tus.Bytes(nil), &tus.UploadOptions{Metadata: want})
	if err != nil {
		t.Fatal(err)
	}
	info, err := client.Info(testContext(t), res.URL)
	if err != nil || fmt.Sprint(info.Metadata) != fmt.Sprint(want) {
		t.Errorf("metadata is %q, %v", info.Metadata, err)
	}
}

func TestInfo_ParsesMetadataLeniently(t *testing.T) {
	for header, want := range map[string]tus.Metadata{
		"":                                   nil,
		"a YQ==":                             {"a": "a"},
		"a YQ":                               {"a": "a"}, // without padding
		" a YQ== , b Yg== ":                  {"a": "a", "b": "b"},
		"flag":                               {"flag": ""},
		"flag ,":                             {"flag": ""},
		",,,":                                nil,
		"bad !!!,a YQ==":                     {"a": "a"},
		strings.Repeat(",", 1000) + "a YQ==": {"a": "a"},
	} {
		srv := tustest.NewServer(t, nil)
		target := uploadOn(t, srv, randomBytes(10))
		srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Metadata", header)})
		info, err := newClient(t, srv.Endpoint(), nil).Info(testContext(t), target)
		if err != nil || fmt.Sprint(info.Metadata) != fmt.Sprint(want) {
			t.Errorf("%q is read as %v, %v; want %v", header, info.Metadata, err, want)
		}
	}
}

func TestInfo_ConcatenationAndExpiry(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "partial": "partial", "final;/files/1 /files/2": "final", "final;http://a/1  http://b/2": "final", "final": "", "nonsense": "",
	} {
		srv := tustest.NewServer(t, nil)
		target := uploadOn(t, srv, randomBytes(10))
		srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Concat", header, "Upload-Expires", "Wed, 25 Jun 2031 16:00:00 GMT")})
		info, err := newClient(t, srv.Endpoint(), nil).Info(testContext(t), target)
		if err != nil || info.Concat != want {
			t.Errorf("%q is read as %q, %v", header, info.Concat, err)
		}
		if !info.Expires.Equal(time.Date(2031, 6, 25, 16, 0, 0, 0, time.UTC)) {
			t.Errorf("expires %v", info.Expires)
		}
	}
}

func TestInfo_FinalUploadMayLackOffset(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	target := uploadOn(t, srv, randomBytes(10))
	srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Concat", "final;/files/1", "Upload-Offset", "")})
	info, err := newClient(t, srv.Endpoint(), nil).Info(testContext(t), target)
	if err != nil || info.Offset != 0 || info.Length != 10 || info.Complete() {
		t.Errorf("info is %+v, %v", info, err)
	}
	srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Length", "")})
	info, err = newClient(t, srv.Endpoint(), nil).Info(testContext(t), target)
	if err != nil || !info.LengthDeferred || info.Complete() {
		t.Errorf("info is %+v, %v", info, err)
	}
	srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Length", "ten")})
	_, err = newClient(t, srv.Endpoint(), nil).Info(testContext(t), target)
	wantError(t, err, tus.ErrProtocol)
}

func TestMetadata_DefaultIsTheNameOfTheSource(t *testing.T) {
	dir, data := t.TempDir(), randomBytes(3000)
	path := fileAt(t, filepath.Join(dir, "report.pdf"), data)
	opened, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	const named = "filename cmVwb3J0LnBkZg=="
	for name, test := range map[string]struct {
		source tus.Source
		opts   *tus.UploadOptions
		want   string
	}{
		"File":       {tus.File(path), nil, named},
		"OpenedFile": {tus.OpenedFile(opened), &tus.UploadOptions{ResumeKey: "k"}, named},
		"FSFile":     {tus.FSFile(os.DirFS(dir), "report.pdf"), chunked(), named},
		"parts":      {tus.File(path), &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1000}}}, named},
		"Bytes":      {tus.Bytes(data), nil, ""},
		"Reader":     {tus.Reader(bytes.NewReader(data)), chunked(), ""},
	} {
		srv := tustest.NewServer(t, nil)
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}}).Upload(testContext(t), test.source, test.opts)
		if err != nil {
			t.Fatal(err)
		}
		if up, _ := srv.Upload(res.URL); up.Metadata != test.want {
			t.Errorf("%s: metadata is %q, want %q", name, up.Metadata, test.want)
		}
	}
}

func TestMetadata_NameOfSourceIsNotInResumeKey(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(3000)
	dir := t.TempDir()
	path := fileAt(t, filepath.Join(dir, "before"), data)
	opts := &tus.UploadOptions{ResumeKey: "report", StopAt: 1000}
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	_, err := client.Upload(testContext(t), tus.File(path), opts)
	wantError(t, err, tus.ErrPaused)
	renamed := filepath.Join(dir, "after")
	if err := os.Rename(path, renamed); err != nil {
		t.Fatal(err)
	}
	res, err := client.Upload(testContext(t), tus.File(renamed), &tus.UploadOptions{ResumeKey: "report"})
	if err != nil || res.Stats.ResumedFrom != 1000 {
		t.Fatalf("resumed from %d: %v", res.Stats.ResumedFrom, err)
	}
	if up, _ := srv.Upload(res.URL); up.Metadata != "filename YmVmb3Jl" {
		t.Errorf("metadata is %q", up.Metadata)
	}
}

func TestUploadFile_FilenameUnlessMetadataHasOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.pdf")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, metadata := range map[string]tus.Metadata{
		"filename cmVwb3J0LnBkZg==": nil,
		"":                          {},
		"title dA==":                {"title": "t"},
	} {
		srv := tustest.NewServer(t, nil)
		if _, err := newClient(t, srv.Endpoint(), nil).UploadFile(testContext(t), path, &tus.UploadOptions{Metadata: metadata}); err != nil {
			t.Fatal(err)
		}
		if got := srv.Uploads()[0].Metadata; got != want {
			t.Errorf("metadata is %q, want %q", got, want)
		}
	}
}

func TestInfo_ReturnsUploadOfServer(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(1000)), &tus.UploadOptions{
		StopAt: 400, Metadata: tus.Metadata{"k": "v"}})
	wantError(t, err, tus.ErrPaused)
	info, err := client.Info(testContext(t), res.URL)
	if err != nil {
		t.Fatal(err)
	}
	if info.Offset != 400 || info.Length != 1000 || info.LengthDeferred || info.Complete() || info.Metadata["k"] != "v" || info.Concat != "" {
		t.Errorf("info is %+v", info)
	}
	if _, err := client.Resume(testContext(t), res.URL, tus.Bytes(randomBytes(1000)), nil); err != nil {
		t.Fatal(err)
	}
	if info, err = client.Info(testContext(t), res.URL); err != nil || !info.Complete() {
		t.Errorf("info is %+v, %v", info, err)
	}
}
