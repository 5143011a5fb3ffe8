package tus_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

const twinSize = 8 << 20

// twins returns two contents of the same size that differ in a byte of each half.
func twins() (one, two []byte) {
	one = randomBytes(twinSize)
	two = bytes.Clone(one)
	two[60_000] ^= 1
	two[twinSize-60_000] ^= 1
	return one, two
}

// uploadAfter interrupts an upload of one, and returns the result of an upload of two.
func uploadAfter(t *testing.T, way tus.UploadOptions, one, two tus.Source) (*tustest.Server, *tus.Result) {
	t.Helper()
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("concatenation-unfinished")})
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}, Retry: retryOften()})
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	first := way
	first.Hooks.OnProgress = func(_ *tus.Uploader, p tus.Progress) {
		if p.Acknowledged >= twinSize/2 {
			cancel()
		}
	}
	_, err := client.Upload(ctx, one, &first)
	wantError(t, err, context.Canceled)
	result, err := client.Upload(testContext(t), two, &way)
	if err != nil {
		t.Fatal(err)
	}
	return srv, result
}

// versioned returns a source with an identity and a version.
func versioned(source tus.Source, identity, version string) tus.Source {
	return &hookedSource{Source: source, changeInfo: func(info *tus.SourceInfo) { info.Identity, info.Version = identity, version }}
}

func TestUpload_VersionsOfOneSizeAreNotMixed(t *testing.T) {
	one, two := twins()
	mapped := func(data []byte, when time.Time) tus.Source {
		return tus.FSFile(fstest.MapFS{"f": {Data: data, ModTime: when}}, "f")
	}
	for name, source := range map[string]func([]byte) tus.Source{
		"Bytes":                          tus.Bytes,
		"ReaderAt":                       func(b []byte) tus.Source { return tus.ReaderAt(bytes.NewReader(b), twinSize) },
		"ReadSeeker":                     func(b []byte) tus.Source { return tus.ReadSeeker(bytes.NewReader(b), twinSize) },
		"FSFile without a time":          func(b []byte) tus.Source { return mapped(b, time.Time{}) },
		"FSFile of the epoch":            func(b []byte) tus.Source { return mapped(b, time.Unix(0, 0)) },
		"FSFile of another file system":  func(b []byte) tus.Source { return mapped(b, longAgo) },
		"FSFile that is read forward":    func(b []byte) tus.Source { return tus.FSFile(forwardFS{fstest.MapFS{"f": {Data: b}}}, "f") },
		"Source without time or version": func(b []byte) tus.Source { return versioned(tus.Bytes(b), "the source", "") },
		"Source of another version": func(b []byte) tus.Source {
			return versioned(tus.Bytes(b), "the source", string(b[60_000:60_001]))
		},
	} {
		for way, opts := range map[string]tus.UploadOptions{
			"chunks":   {ChunkSize: 1 << 20},
			"parallel": {ChunkSize: 1 << 20, Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{twinSize / 2}}},
		} {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				srv, result := uploadAfter(t, opts, source(one), source(two))
				wantStored(t, srv.Handler, result.URL, two)
				if result.Stats.ResumedFrom != 0 {
					t.Errorf("resumed from %d", result.Stats.ResumedFrom)
				}
				srv, result = uploadAfter(t, opts, source(one), source(one))
				wantStored(t, srv.Handler, result.URL, one)
				if result.Stats.ResumedFrom == 0 {
					t.Error("the same version was not resumed")
				}
			})
		}
	}
}

// A source without time and version is read once more, for its fingerprint.
func TestUpload_SourceWithoutTimeIsReadOnceMore(t *testing.T) {
	const size = 4 << 20
	for name, test := range map[string]struct {
		store   storage.Store
		version string
		want    int64
	}{
		"no store":          {nil, "", size},
		"store":             {&storage.Memory{}, "", 2 * size},
		"store and version": {&storage.Memory{}, "v1", size + 1<<20},
	} {
		t.Run(name, func(t *testing.T) {
			var read atomic.Int64
			source := versioned(tus.ReaderAt(countingReaderAt{bytes.NewReader(randomBytes(size)), &read}, size), "", test.version)
			srv := tustest.NewServer(t, nil)
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: test.store})
			if _, err := client.Upload(testContext(t), source, whole()); err != nil {
				t.Fatal(err)
			}
			if n := read.Load(); n != test.want {
				t.Errorf("%d bytes were read, want %d", n, test.want)
			}
		})
	}
}

type countingReaderAt struct {
	io.ReaderAt
	read *atomic.Int64
}

func (r countingReaderAt) ReadAt(p []byte, offset int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, offset)
	r.read.Add(int64(n))
	return n, err
}

// twinFiles writes two files of the same size and time.
func twinFiles(t *testing.T, one, two string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	first, second := twins()
	for name, data := range map[string][]byte{one: first, two: second} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600), os.Chtimes(path, longAgo, longAgo)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFile_TwinsAreTwoUploads(t *testing.T) {
	_, second := twins()
	for kind, source := range fileKinds() {
		for place, names := range map[string][2]string{
			"one directory":   {"a.bin", "b.bin"},
			"two directories": {"a/image.bin", "b/image.bin"},
		} {
			t.Run(kind+"/"+place, func(t *testing.T) {
				dir := twinFiles(t, names[0], names[1])
				srv, result := uploadAfter(t, tus.UploadOptions{ChunkSize: 1 << 20},
					source(t, filepath.Join(dir, names[0])), source(t, filepath.Join(dir, names[1])))
				wantStored(t, srv.Handler, result.URL, second)
			})
		}
	}
}

// A symbolic link points to another file in the next session.
func TestFile_LinkToATwinIsAnotherUpload(t *testing.T) {
	_, second := twins()
	for kind, source := range fileKinds() {
		t.Run(kind, func(t *testing.T) {
			dir := twinFiles(t, "1/image.bin", "2/image.bin")
			link, path := filepath.Join(dir, "current"), filepath.Join(dir, "current", "image.bin")
			if err := os.Symlink("1", link); err != nil {
				t.Skip(err)
			}
			srv := tustest.NewServer(t, nil)
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}})
			_, err := client.Upload(testContext(t), source(t, path), &tus.UploadOptions{StopAt: twinSize / 2})
			wantError(t, err, tus.ErrPaused)
			if err := errors.Join(os.Remove(link), os.Symlink("2", link)); err != nil {
				t.Fatal(err)
			}
			result, err := client.Upload(testContext(t), source(t, path), nil)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, result.URL, second)
		})
	}
}

func TestFile_RenamedIsFoundByContentOrResumeKey(t *testing.T) {
	first, _ := twins()
	for kind, source := range fileKinds() {
		for name, test := range map[string]struct {
			print   fingerprint.Fingerprinter
			key     string
			resumes bool
		}{
			"default":               {nil, "", false},
			"default and ResumeKey": {nil, "the image", true},
			"Stat":                  {fingerprint.Stat{}, "", false},
			"Stat and ResumeKey":    {fingerprint.Stat{}, "the image", true},
			"Content":               {fingerprint.Content{}, "", true},
			"Content and ResumeKey": {fingerprint.Content{}, "the image", true},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				path := filepath.Join(twinFiles(t, "a.bin", "b.bin"), "a.bin")
				renamed := path + ".renamed"
				srv := tustest.NewServer(t, nil)
				client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}, Fingerprinter: test.print})
				_, err := client.Upload(testContext(t), source(t, path), &tus.UploadOptions{StopAt: twinSize / 2, ResumeKey: test.key})
				wantError(t, err, tus.ErrPaused)
				if err := os.Rename(path, renamed); err != nil {
					t.Fatal(err)
				}
				result, err := client.Upload(testContext(t), source(t, renamed), &tus.UploadOptions{ResumeKey: test.key})
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv.Handler, result.URL, first)
				if resumed := result.Stats.ResumedFrom > 0; resumed != test.resumes {
					t.Errorf("resumed from %d", result.Stats.ResumedFrom)
				}
			})
		}
	}
}
