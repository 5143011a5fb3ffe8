package tus_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// constantPrint returns a fingerprinter whose fingerprint is name.
func constantPrint(name string) fingerprint.Fingerprinter {
	return fingerprint.Func(func(context.Context, io.ReaderAt, fingerprint.Info) (string, error) { return name, nil })
}

func TestFingerprinter_OfUploadBeforeClientBeforeSource(t *testing.T) {
	for name, test := range map[string]struct {
		upload, client, source fingerprint.Fingerprinter
		want                   string
	}{
		"upload": {constantPrint("upload"), constantPrint("client"), constantPrint("source"), "upload"},
		"client": {nil, constantPrint("client"), constantPrint("source"), "client"},
		"source": {nil, nil, constantPrint("source"), "source"},
		"none":   {nil, nil, nil, "content1-"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), new(storage.Memory)
			opts := chunked()
			opts.StopAt, opts.Fingerprinter = 1000, test.upload
			source := tus.WithInfo(tus.Bytes(randomBytes(3000)), tus.SourceInfo{Fingerprinter: test.source})
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Fingerprinter: test.client}).Upload(testContext(t), source, opts)
			wantError(t, err, tus.ErrPaused)
			if got := records(t, store)[0].Fingerprint; !strings.HasPrefix(got, test.want) {
				t.Errorf("resume key is %q", got)
			}
		})
	}
}

func TestFingerprinter_NilPointerIsRefused(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: new(storage.Memory)})
	var none *fingerprint.Sample
	opts := chunked()
	opts.Fingerprinter = none
	_, ofUpload := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), opts)
	_, ofSource := client.Upload(testContext(t), tus.WithInfo(tus.Bytes(randomBytes(10)), tus.SourceInfo{Fingerprinter: none}), nil)
	for where, err := range map[string]error{"UploadOptions": ofUpload, "SourceInfo": ofSource} {
		wantError(t, err, tus.ErrInvalidInput)
		if !strings.Contains(err.Error(), where+".Fingerprinter is a nil *fingerprint.Sample") {
			t.Errorf("error is %v", err)
		}
	}
	wantMethods(t, srv.Handler)
}

// readCounter counts the bytes that are read before the first request.
type readCounter struct {
	io.ReaderAt
	read atomic.Int64
}

func (r *readCounter) ReadAt(p []byte, offset int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, offset)
	r.read.Add(int64(n))
	return n, err
}

// A name and a version identify bytes, so that they are not read for the resume key.
func TestWithInfo_NamesBytes(t *testing.T) {
	const size = 4 << 20
	data := randomBytes(size)
	info := tus.SourceInfo{Name: "disk.img", Identity: "volume 7", Version: "snapshot 4711"}
	for name, test := range map[string]struct {
		change  func(*tus.SourceInfo)
		resumes bool
	}{
		"same info":        {func(*tus.SourceInfo) {}, true},
		"another name":     {func(i *tus.SourceInfo) { i.Name = "renamed.img" }, true},
		"another identity": {func(i *tus.SourceInfo) { i.Identity = "volume 8" }, false},
		"another version":  {func(i *tus.SourceInfo) { i.Version = "snapshot 4712" }, false},
		"another time":     {func(i *tus.SourceInfo) { i.ModTime = time.Unix(1e9, 0) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), new(storage.Memory)
			upload := func(info tus.SourceInfo, stopAt int64) (*tus.Result, error) {
				r := &readCounter{ReaderAt: strings.NewReader(string(data))}
				opts := &tus.UploadOptions{StopAt: stopAt, ChunkSize: 1 << 20, Hooks: tus.Hooks{OnStateChange: func(_ *tus.Uploader, from, _ tus.State, _ error) {
					if n := r.read.Load(); from == tus.StateIdle && n > 1<<20 {
						t.Errorf("%d bytes were read for the resume key", n)
					}
				}}}
				return newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.WithInfo(tus.ReaderAt(r, size), info), opts)
			}
			res, err := upload(info, 1<<20)
			wantError(t, err, tus.ErrPaused)
			if up, _ := srv.Upload(res.URL); up.Metadata != tus.FormatMetadata(tus.Metadata{"filename": "disk.img"}) {
				t.Errorf("metadata is %q", up.Metadata)
			}
			next := info
			test.change(&next)
			res, err = upload(next, 0)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if resumed := res.Stats.ResumedFrom == 1<<20; resumed != test.resumes {
				t.Errorf("resumed from %d", res.Stats.ResumedFrom)
			}
		})
	}
}

func TestWithInfo_NamesStream(t *testing.T) {
	for name, size := range map[string]int{"short": 100, "long": 5000} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			data := randomBytes(size)
			source := tus.WithInfo(tus.Reader(strings.NewReader(string(data))), tus.SourceInfo{Name: "log.txt"})
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, chunked())
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if up, _ := srv.Upload(res.URL); up.Metadata != tus.FormatMetadata(tus.Metadata{"filename": "log.txt"}) {
				t.Errorf("metadata is %q", up.Metadata)
			}
		})
	}
}

func TestWithInfo_ChangeOfSourceIsDetected(t *testing.T) {
	version := "1"
	custom := &hookedSource{Source: tus.Bytes(randomBytes(3000)), changeInfo: func(i *tus.SourceInfo) { i.Version = version }}
	path := tempFile(t, randomBytes(3000))
	for name, test := range map[string]struct {
		source tus.Source
		change func()
	}{
		"version": {custom, func() { version = "2" }},
		"file": {tus.File(path), func() {
			if err := os.WriteFile(path, randomBytes(3001), 0o600); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: tustest.CutAfter(10)})
			opts := chunked()
			opts.Hooks.OnRetry = func(*tus.Uploader, tus.Retry) { test.change() }
			source := tus.WithInfo(test.source, tus.SourceInfo{Version: "constant", ModTime: time.Unix(1e9, 0)})
			_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, opts)
			wantError(t, err, tus.ErrSourceChanged)
		})
	}
}

func TestWithInfo_InvalidSendsNoRequest(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	var none *hookedSource
	for name, source := range map[string]tus.Source{
		"nil source":   tus.WithInfo(nil, tus.SourceInfo{Name: "x"}),
		"nil pointer":  tus.WithInfo(none, tus.SourceInfo{Name: "x"}),
		"another size": tus.WithInfo(tus.Bytes(randomBytes(10)), tus.SourceInfo{Size: 11}),
		"negative":     tus.WithInfo(tus.Bytes(randomBytes(10)), tus.SourceInfo{Size: -1}),
		"unknown size": tus.WithInfo(tus.Bytes(randomBytes(10)), tus.SourceInfo{SizeUnknown: true}),
		"known size":   tus.WithInfo(tus.Reader(strings.NewReader("x")), tus.SourceInfo{Size: 1}),
		"sequential":   tus.WithInfo(tus.Bytes(randomBytes(10)), tus.SourceInfo{Sequential: true}),
	} {
		_, err := client.Upload(testContext(t), source, nil)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantError(t, err, tus.ErrInvalidInput)
	}
	wantMethods(t, srv.Handler)

	same := tus.SourceInfo{Name: "x", Size: 3000, Sequential: true}
	if _, err := client.Upload(testContext(t), tus.WithInfo(tus.ReadSeeker(strings.NewReader(string(randomBytes(3000))), 3000), same), chunked()); err != nil {
		t.Error(err)
	}
}

// A file that WithInfo describes is sent and found as before.
func TestWithInfo_KeepsFile(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), new(storage.Memory)
	data := randomBytes(3000)
	path := tempFile(t, data)
	opened := false
	for _, source := range []tus.Source{tus.File(path), tus.FSFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))} {
		described := tus.WithInfo(tus.WithInfo(source, tus.SourceInfo{Name: "inner"}), tus.SourceInfo{Name: "outer.bin"})
		info, err := described.Stat(testContext(t))
		if err != nil || info.Name != "outer.bin" || info.Size != 3000 || info.ModTime.IsZero() {
			t.Fatalf("Stat returns %+v, %v", info, err)
		}
		r, err := described.Open(testContext(t), 0)
		if err != nil {
			t.Fatal(err)
		}
		_, opened = r.(*os.File)
		r.Close()
		if !opened {
			t.Errorf("reader is a %T", r)
		}
	}
	stoppedAt(t, srv.Endpoint(), store, tus.WithInfo(tus.File(path), tus.SourceInfo{Name: "outer.bin"}), 1000)
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.WithInfo(tus.File(path), tus.SourceInfo{Name: "outer.bin"}), chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if res.Stats.ResumedFrom != 1000 {
		t.Errorf("resumed from %d", res.Stats.ResumedFrom)
	}
}
