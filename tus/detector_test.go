package tus_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// fileKinds returns the sources for a file of the operating system, by name.
func fileKinds() map[string]func(t *testing.T, path string) tus.Source {
	return map[string]func(t *testing.T, path string) tus.Source{
		"File": func(_ *testing.T, path string) tus.Source { return tus.File(path) },
		"OpenedFile": func(t *testing.T, path string) tus.Source {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return tus.OpenedFile(f)
		},
		"FSFile": func(_ *testing.T, path string) tus.Source {
			return tus.FSFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
		},
	}
}

// changingSize is small enough for a sample to cover the whole file.
const changingSize = 300_000

// wayOfResumer resumes an upload that another client created.
const wayOfResumer = "resumed by URL"

// uploadWays returns ways to send such a file. In each, the second PATCH does not carry
// the last bytes of the file.
func uploadWays() map[string]*tus.UploadOptions {
	return map[string]*tus.UploadOptions{
		"chunks":     {ChunkSize: 100_000},
		"parallel":   {ChunkSize: 50_000, Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{200_000}}},
		wayOfResumer: {ChunkSize: 100_000},
	}
}

// fileAt writes a file with a modification time of an hour ago.
func fileAt(t *testing.T, path string, data []byte) string {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	if err := errors.Join(os.WriteFile(path, data, 0o600), os.Chtimes(path, then, then)); err != nil {
		t.Fatal(err)
	}
	return path
}

// keepingTime runs change and restores the modification time of the file.
func keepingTime(path string, change func() error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return errors.Join(change(), os.Chtimes(path, info.ModTime(), info.ModTime()))
}

// writeInto overwrites bytes in place.
func writeInto(path string, data []byte, offset int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, offset)
	return errors.Join(err, f.Close())
}

// replace renames a new file with the same time over the one at path.
func replace(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return errors.Join(os.Chtimes(path+".new", info.ModTime(), info.ModTime()), os.Rename(path+".new", path))
}

// recreate deletes the file and writes a new one, which may get the same inode.
func recreate(path string, data []byte) error {
	return keepingTime(path, func() error {
		return errors.Join(os.Remove(path), os.WriteFile(path, data, 0o600))
	})
}

// uploadChanging uploads source and runs change at the second PATCH.
func uploadChanging(t *testing.T, way string, source tus.Source, opts *tus.UploadOptions, change func() error) (*tustest.Server, *tus.Result, error) {
	t.Helper()
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("concatenation-unfinished")})
	client := newClient(t, srv.Endpoint(), nil)
	url := ""
	if way == wayOfResumer {
		created, err := client.Create(testContext(t), tus.CreateOptions{Size: changingSize})
		if err != nil {
			t.Fatal(err)
		}
		url = created.URL
	}
	u, err := prepare(client, url, source, opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Serve(w, r)
		if err := change(); err != nil {
			t.Error(err)
		}
	}})
	result, err := u.Run(testContext(t))
	return srv, result, err
}

func TestFile_ChangeWithItsTimeSetBackIsAnError(t *testing.T) {
	data, other := randomBytes(changingSize), bytes.Repeat([]byte("x"), changingSize)
	changes := map[string]func(path string) error{
		"written to in place": func(path string) error {
			return keepingTime(path, func() error { return writeInto(path, other[:5000], changingSize-10_000) })
		},
		"truncated and written": func(path string) error {
			return keepingTime(path, func() error { return os.WriteFile(path, other, 0o600) })
		},
		"created again": func(path string) error { return recreate(path, other) },
		"renamed over":  func(path string) error { return replace(path, other) },
	}
	for kind, source := range fileKinds() {
		for way, opts := range uploadWays() {
			for name, change := range changes {
				t.Run(kind+"/"+way+"/"+name, func(t *testing.T) {
					path := fileAt(t, filepath.Join(t.TempDir(), "file"), data)
					srv, result, err := uploadChanging(t, way, source(t, path), opts, func() error { return change(path) })
					if kind == "OpenedFile" && (name == "created again" || name == "renamed over") {
						if err != nil { // the caller's handle still reads the old file
							t.Fatal(err)
						}
						wantStored(t, srv.Handler, result.URL, data)
						return
					}
					if name == "created again" && errors.Is(err, fs.ErrNotExist) {
						return // the other part found no file
					}
					wantError(t, err, tus.ErrSourceChanged)
					if up, ok := srv.Upload(result.URL); ok && up.Complete() {
						t.Error("server has a complete upload")
					}
				})
			}
		}
	}
}

func TestFile_EqualContentIsNoChange(t *testing.T) {
	data := randomBytes(changingSize)
	changes := map[string]func(path string) error{
		"chmod":              func(path string) error { return os.Chmod(path, 0o640) },
		"hard link":          func(path string) error { return os.Link(path, path+".link") },
		"equal copy":         func(path string) error { return replace(path, data) },
		"equal file instead": func(path string) error { return recreate(path, data) },
		"equal write": func(path string) error {
			return keepingTime(path, func() error { return writeInto(path, data, 0) })
		},
	}
	for kind, source := range fileKinds() {
		for way, opts := range uploadWays() {
			for name, change := range changes {
				if way == "parallel" && (name == "equal file instead" || name == "equal write") {
					continue // the other part may see the file between two steps of the change
				}
				t.Run(kind+"/"+way+"/"+name, func(t *testing.T) {
					path := fileAt(t, filepath.Join(t.TempDir(), "file"), data)
					srv, result, err := uploadChanging(t, way, source(t, path), opts, func() error { return change(path) })
					if err != nil {
						t.Fatal(err)
					}
					wantStored(t, srv.Handler, result.URL, data)
				})
			}
		}
	}
}

// otherInodes is a file system whose files have another inode at each Open, as in FUSE.
type otherInodes struct {
	fs.FS
	looks *int
}

func (f otherInodes) Open(name string) (fs.File, error) {
	*f.looks++
	return f.FS.Open([]string{"a/", "b/"}[*f.looks%2] + name)
}

func TestFSFile_UnstableInodesDoNotEndAnUpload(t *testing.T) {
	data, dir := randomBytes(changingSize), t.TempDir()
	var first fs.FileInfo
	for _, copy := range []string{"a", "b"} {
		path := filepath.Join(dir, copy, "file")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(fileAt(t, path, data))
		if first == nil {
			first = info
		}
		if err := errors.Join(err, os.Chtimes(path, first.ModTime(), first.ModTime())); err != nil {
			t.Fatal(err)
		}
	}
	for way, opts := range uploadWays() {
		t.Run(way, func(t *testing.T) {
			looks := 0
			opts.Parallel, opts.ParallelOptions.PartBoundaries = 0, nil // looks is not locked
			source := tus.FSFile(otherInodes{os.DirFS(dir), &looks}, "file")
			srv, result, err := uploadChanging(t, way, source, opts, func() error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, result.URL, data)
		})
	}
}

// touch changes the modification time only.
func touch(path string) error { return os.Chtimes(path, time.Now(), time.Now()) }

func TestFile_TouchKeepsTheRecord(t *testing.T) {
	data := randomBytes(changingSize)
	for kind, source := range fileKinds() {
		t.Run(kind, func(t *testing.T) {
			path := fileAt(t, filepath.Join(t.TempDir(), "file"), data)
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				h.Serve(w, r)
				if err := touch(path); err != nil {
					t.Error(err)
				}
			}})
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Fingerprinter: fingerprint.Content{}})
			opts := &tus.UploadOptions{ChunkSize: 100_000}
			_, err := client.Upload(testContext(t), source(t, path), opts)
			wantError(t, err, tus.ErrSourceChanged)
			result, err := client.Upload(testContext(t), source(t, path), opts)
			if err != nil || result.Stats.ResumedFrom != 200_000 {
				t.Fatalf("resumed from %d: %v", result.Stats.ResumedFrom, err)
			}
			wantStored(t, srv.Handler, result.URL, data)
			wantEmptyStore(t, store)
		})
	}
}

// The file changes after the server has acknowledged every byte.
func TestFile_TouchAfterTheLastByteIsSuccess(t *testing.T) {
	data := randomBytes(changingSize)
	ways := uploadWays()
	delete(ways, wayOfResumer)
	ways["one request"] = whole()
	for kind, source := range fileKinds() {
		for way, opts := range ways {
			for name, change := range map[string]func(path string) error{
				"touched":    touch,
				"written to": func(path string) error { return writeInto(path, []byte("x"), 1000) },
				"written to, time set back": func(path string) error {
					return keepingTime(path, func() error { return writeInto(path, []byte("x"), 1000) })
				},
			} {
				t.Run(kind+"/"+way+"/"+name, func(t *testing.T) {
					path := fileAt(t, filepath.Join(t.TempDir(), "file"), data)
					srv, store := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("concatenation-unfinished")}), &storage.Memory{}
					client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Hooks: tus.Hooks{
						OnStateChange: func(_ *tus.Uploader, _, to tus.State, _ error) {
							if to == tus.StateFinishing {
								if err := change(path); err != nil {
									t.Error(err)
								}
							}
						},
					}})
					result, err := client.Upload(testContext(t), source(t, path), opts)
					if name == "touched" {
						if err != nil {
							t.Fatal(err)
						}
						wantStored(t, srv.Handler, result.URL, data)
					} else {
						wantError(t, err, tus.ErrSourceChanged)
					}
					wantEmptyStore(t, store)
				})
			}
		}
	}
}

// A file is written to in several places between two sessions, and its time is restored.
func TestFile_RewrittenBetweenSessionsIsAnotherSource(t *testing.T) {
	const size, stride = 16 << 20, (16<<20 - 16<<10) / 63
	for kind, source := range fileKinds() {
		t.Run(kind, func(t *testing.T) {
			path := fileAt(t, filepath.Join(t.TempDir(), "file"), randomBytes(size))
			srv := tustest.NewServer(t, nil)
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}})
			_, err := client.Upload(testContext(t), source(t, path), &tus.UploadOptions{StopAt: size / 2})
			wantError(t, err, tus.ErrPaused)
			other := bytes.Repeat([]byte("x"), stride/2)
			err = keepingTime(path, func() error {
				var errs []error
				for i := int64(0); i < 62; i += 2 {
					errs = append(errs, writeInto(path, other, i*stride+20_000))
				}
				return errors.Join(errs...)
			})
			if err != nil {
				t.Fatal(err)
			}
			result, err := client.Upload(testContext(t), source(t, path), nil)
			if err != nil || result.Stats.ResumedFrom != 0 {
				t.Fatalf("resumed from %d: %v", result.Stats.ResumedFrom, err)
			}
			now, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, result.URL, now)
		})
	}
}

func TestFile_RelativePathIsMadeAbsoluteAtOnce(t *testing.T) {
	data, dir := randomBytes(5000), t.TempDir()
	fileAt(t, filepath.Join(dir, "file"), data)
	t.Chdir(dir)
	source := tus.File("file")
	t.Chdir(t.TempDir())
	srv := tustest.NewServer(t, nil)
	result, err := newClient(t, srv.Endpoint(), nil).Upload(context.Background(), source, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, result.URL, data)
}
