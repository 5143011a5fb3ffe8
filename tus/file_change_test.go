package tus_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// wantNoMix fails if the server has a complete upload, or bytes that differ from data.
func wantNoMix(t testing.TB, srv *tustest.Server, data []byte) {
	t.Helper()
	for _, up := range srv.Uploads() {
		if up.Complete() {
			t.Errorf("server has a complete upload of %d bytes", len(up.Data))
		}
		if !bytes.HasPrefix(data, up.Data) {
			t.Errorf("the %d bytes on the server are not the start of the source", len(up.Data))
		}
	}
}

// changes returns changes of a file during its upload, by name.
func changes(t *testing.T, path string) map[string]func() {
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	other := bytes.Repeat([]byte("other!"), 50_000) // as long as the original
	return map[string]func(){
		"truncated": func() { must(os.Truncate(path, 1700)) },
		"emptied":   func() { must(os.Truncate(path, 0)) },
		"grown": func() {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			must(err)
			_, err = f.WriteString("more")
			must(err)
			must(f.Close())
		},
		"replaced": func() {
			must(os.WriteFile(path+".new", other, 0o600))
			must(os.Rename(path+".new", path))
		},
		"replaced by one of the same size and time": func() {
			must(os.WriteFile(path+".new", other, 0o600))
			must(os.Chtimes(path+".new", time.Time{}, longAgo))
			must(os.Rename(path+".new", path))
		},
		"overwritten in place": func() { must(os.WriteFile(path, other, 0o600)) },
		"touched":              func() { must(os.Chtimes(path, time.Time{}, longAgo.Add(time.Second))) },
		"removed":              func() { must(os.Remove(path)) },
		"now a directory":      func() { must(os.Remove(path)); must(os.Mkdir(path, 0o700)) },
		"now a pipe":           func() { must(os.Remove(path)); must(makePipe(path)) },
	}
}

var longAgo = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func TestFile_ChangeIsNeverStoredAsComplete(t *testing.T) {
	data := randomBytes(300_000)
	sources := map[string]func(path string, opened *os.File) tus.Source{
		"File":       func(path string, _ *os.File) tus.Source { return tus.File(path) },
		"OpenedFile": func(_ string, opened *os.File) tus.Source { return tus.OpenedFile(opened) },
		"FSFile": func(path string, _ *os.File) tus.Source {
			return tus.FSFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
		},
	}
	ways := map[string]*tus.UploadOptions{
		"in the creation":    nil,
		"in one PATCH":       whole(),
		"in chunks":          {ChunkSize: 100_000},
		"in chunks, resumed": {ChunkSize: 100_000, StopAt: 150_000},
	}
	for kind, source := range sources {
		for way, opts := range ways {
			for change := range changes(t, "") {
				t.Run(kind+"/"+way+"/"+change, func(t *testing.T) {
					path := tempFile(t, data)
					if err := os.Chtimes(path, time.Time{}, longAgo); err != nil {
						t.Fatal(err)
					}
					opened, err := os.Open(path)
					if err != nil {
						t.Fatal(err)
					}
					defer opened.Close()

					// The change happens after the server has read the first bytes of a request.
					method, skip := "PATCH", 0
					switch {
					case opts == nil:
						method = "POST"
					case opts.ChunkSize > 0:
						skip = 1
					}
					var happened atomic.Bool
					srv := tustest.NewServer(t, nil)
					srv.Inject(tustest.Fault{Method: method, Skip: skip, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
						r.Body = &interruptedBody{ReadCloser: r.Body, then: func() { happened.Store(true); changes(t, path)[change]() }}
						h.Serve(w, r)
					}})
					u, err := newClient(t, srv.Endpoint(), nil).NewUploader(source(path, opened), opts)
					if err != nil {
						t.Fatal(err)
					}
					for err = tus.ErrPaused; errors.Is(err, tus.ErrPaused); {
						_, err = u.Run(testContext(t))
					}
					if !happened.Load() {
						t.Fatal("the change did not happen")
					}
					if kind == "OpenedFile" && (strings.HasPrefix(change, "replaced") || change == "removed" || strings.HasPrefix(change, "now ")) {
						// The handle of the caller still reads the original.
						if err != nil {
							t.Fatal(err)
						}
						wantStored(t, srv.Handler, u.URL(), data)
						return
					}
					if change == "touched" && err == nil && (opts == nil || opts.ChunkSize == 0) {
						// Found after every byte is acknowledged; the content is the same.
						wantStored(t, srv.Handler, u.URL(), data)
						return
					}
					// If the kernel took the last bytes before the change, the server may have
					// a complete upload. Then only the error shows the change.
					if err == nil {
						t.Fatal("upload succeeded")
					}
					wantChanged(t, err)
					for _, up := range srv.Uploads() {
						if opts != nil && opts.ChunkSize > 0 && up.Complete() {
							t.Error("server has a complete upload, but another chunk followed the change")
						}
					}
				})
			}
		}
	}
}

// wantChanged accepts all errors of a file that changed.
func wantChanged(t testing.TB, err error) {
	t.Helper()
	for _, want := range []error{tus.ErrSourceChanged, fs.ErrNotExist, tus.ErrInvalidInput} {
		if errors.Is(err, want) {
			return
		}
	}
	t.Errorf("error is %v", err)
}

// interruptedBody calls a function after its first read.
type interruptedBody struct {
	io.ReadCloser
	then func()
}

func (b *interruptedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), 1000)])
	if b.then != nil {
		b.then()
		b.then = nil
	}
	return n, err
}

func TestFile_ChangeBetweenRunsIsAnError(t *testing.T) {
	data := randomBytes(300_000)
	for change := range changes(t, "") {
		t.Run(change, func(t *testing.T) {
			path := tempFile(t, data)
			if err := os.Chtimes(path, time.Time{}, longAgo); err != nil {
				t.Fatal(err)
			}
			srv := tustest.NewServer(t, nil)
			u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.File(path), &tus.UploadOptions{StopAt: 100_000})
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)
			changes(t, path)[change]()
			_, err = u.Run(testContext(t))
			if err == nil {
				t.Fatal("upload succeeded")
			}
			wantChanged(t, err)
			if tus.IsRetryable(err) {
				t.Errorf("error is retryable: %v", err)
			}
			wantNoMix(t, srv, data)
		})
	}
}

func TestSource_ChangedVersionIsAnError(t *testing.T) {
	data := randomBytes(3000)
	srv := tustest.NewServer(t, nil)
	var version atomic.Int32
	source := &hookedSource{Source: tus.Bytes(data), changeInfo: func(info *tus.SourceInfo) { info.Version = fmt.Sprint(version.Load()) }}
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		version.Add(1)
		h.Serve(w, r)
	}})
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, chunked())
	wantError(t, err, tus.ErrSourceChanged)
	wantNoMix(t, srv, data)
}

// A small file that is sent in one request is a snapshot: a change during the request is as
// one after it. In chunks, the change is an error.
func TestFile_SmallFileIsSentAsItWasRead(t *testing.T) {
	data := randomBytes(5000)
	for name, chunk := range map[string]int64{"one request": 0, "chunks": 1000} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			path := tempFile(t, data)
			client := newClient(t, srv.Endpoint(), &tus.Options{Capabilities: withCreationUpload(), Hooks: tus.Hooks{
				BeforeRequest: func(*http.Request) error { return os.WriteFile(path, randomBytes(6000), 0o600) },
			}})
			res, err := client.UploadFile(testContext(t), path, &tus.UploadOptions{ChunkSize: chunk})
			if chunk > 0 {
				wantError(t, err, tus.ErrSourceChanged)
				return
			}
			if err != nil || requestsOf(res.Stats) != 1 {
				t.Fatalf("%v after %d requests", err, requestsOf(res.Stats))
			}
			wantStored(t, srv.Handler, res.URL, data)
		})
	}
}
