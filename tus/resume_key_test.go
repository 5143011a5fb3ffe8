package tus_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestStoredUpload_IsFoundOnlyForSameInput(t *testing.T) {
	dir := t.TempDir()
	data := randomBytes(10_000)
	write := func(name string, data []byte, modified time.Time) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
		return path
	}
	then := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	original := write("original.bin", data, then)
	changed := bytes.Clone(data)
	changed[5000] ^= 1

	srv, other := tustest.NewServer(t, nil), tustest.NewServer(t, nil)
	for name, test := range map[string]struct {
		endpoint string
		path     string
		options  tus.Options
		upload   tus.UploadOptions
		resumes  bool
	}{
		"the same":         {srv.Endpoint(), original, tus.Options{}, tus.UploadOptions{}, true},
		"copied":           {srv.Endpoint(), write("copied.bin", data, then), tus.Options{}, tus.UploadOptions{}, false},
		"one byte changed": {srv.Endpoint(), write("changed.bin", changed, then), tus.Options{}, tus.UploadOptions{}, false},
		"touched":          {srv.Endpoint(), write("touched.bin", data, then.Add(time.Second)), tus.Options{}, tus.UploadOptions{}, false},
		"longer":           {srv.Endpoint(), write("longer.bin", append(bytes.Clone(data), 1), then), tus.Options{}, tus.UploadOptions{}, false},
		"other metadata":   {srv.Endpoint(), original, tus.Options{}, tus.UploadOptions{Metadata: tus.Metadata{"object": "2"}}, false},
		"other resume key": {srv.Endpoint(), original, tus.Options{}, tus.UploadOptions{ResumeKey: "object 2"}, false},
		"other scope":      {srv.Endpoint(), original, tus.Options{ResumeScope: "other"}, tus.UploadOptions{}, false},
		"other server":     {other.Endpoint(), original, tus.Options{}, tus.UploadOptions{}, false},
		"other path":       {srv.Endpoint() + "?tenant=2", original, tus.Options{}, tus.UploadOptions{}, false},
		"content only":     {srv.Endpoint(), original, tus.Options{Fingerprinter: fingerprint.Content{}}, tus.UploadOptions{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			store := &storage.Memory{}
			opts := chunked()
			opts.StopAt = 3000
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).UploadFile(testContext(t), original, opts)
			wantError(t, err, tus.ErrPaused)
			test.options.Store = store
			test.upload.ChunkSize = 1000
			res, err := newClient(t, test.endpoint, &test.options).UploadFile(testContext(t), test.path, &test.upload)
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Stats.ResumedFrom == 3000; got != test.resumes {
				t.Errorf("resumed from %d", res.Stats.ResumedFrom)
			}
		})
	}
}

func TestResumeScope_ReplacesEndpoint(t *testing.T) {
	// Some services create an endpoint for each upload.
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	data := randomBytes(10_000)
	opts := chunked()
	opts.StopAt = 3000
	_, err := newClient(t, srv.Endpoint()+"?token=1", &tus.Options{Store: store, ResumeScope: "the service"}).Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrPaused)
	res, err := newClient(t, srv.Endpoint()+"?token=2", &tus.Options{Store: store, ResumeScope: "the service"}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.Stats.ResumedFrom != 3000 {
		t.Errorf("result is %+v, %v", res, err)
	}
}

func TestStoredUpload_OfOtherSizeStartsOver(t *testing.T) {
	byName := fingerprint.Func(func(context.Context, io.ReaderAt, fingerprint.Info) (string, error) { return "the log", nil })
	short, long := randomBytes(10_000), randomBytes(12_000)
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Fingerprinter: byName})
	stop := chunked()
	stop.StopAt = 3000
	_, err := client.Upload(testContext(t), tus.Bytes(short), stop)
	wantError(t, err, tus.ErrPaused)
	res, err := client.Upload(testContext(t), tus.Bytes(long), chunked())
	if err != nil || res.Stats.ResumedFrom != 0 || res.Stats.NotResumed != 1 {
		t.Fatalf("result is %+v, %v", res, err)
	}
	wantStored(t, srv.Handler, res.URL, long)
	wantEmptyStore(t, store)
}

func TestResumeKey_ReplacesMetadata(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	first := &tus.UploadOptions{ChunkSize: 1000, StopAt: 3000, ResumeKey: "object 1", Metadata: tus.Metadata{"sent": "at noon"}}
	_, err := client.Upload(testContext(t), tus.Bytes(data), first)
	wantError(t, err, tus.ErrPaused)
	second := &tus.UploadOptions{ChunkSize: 1000, ResumeKey: "object 1", Metadata: tus.Metadata{"sent": "at one"}}
	res, err := client.Upload(testContext(t), tus.Bytes(data), second)
	if err != nil || res.Stats.ResumedFrom != 3000 {
		t.Errorf("result is %+v, %v", res, err)
	}
}
