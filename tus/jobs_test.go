package tus_test

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// tree writes files with their base names as content, and returns their directory.
func tree(t testing.TB, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("content of "+path.Base(name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Skip("NOT TESTED: no symbolic links here:", err)
	}
}

// tags returns the tags of jobs in their order.
func tags(jobs iter.Seq[tus.Job]) (names []string) {
	for job := range jobs {
		names = append(names, job.Tag.(string))
	}
	return names
}

func wantTags(t *testing.T, jobs iter.Seq[tus.Job], want ...string) {
	t.Helper()
	if got := tags(jobs); !slices.Equal(got, want) {
		t.Errorf("jobs are %q, want %q", got, want)
	}
}

func metadataOf(t *testing.T, client *tus.Client, url string) tus.Metadata {
	t.Helper()
	info, err := client.Info(testContext(t), url)
	if err != nil {
		t.Fatal(err)
	}
	return info.Metadata
}

// uploadTree uploads jobs, compares each upload with the content that tree wrote, and
// returns the errors by tag, nil for uploaded files.
func uploadTree(t *testing.T, jobs iter.Seq[tus.Job]) map[string]error {
	t.Helper()
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	results := map[string]error{}
	for r, err := range client.UploadAll(testContext(t), jobs, 3) {
		name := r.Job.Tag.(string)
		if _, ok := results[name]; ok {
			t.Errorf("two results of %s", name)
		}
		results[name] = err
		if err != nil {
			continue
		}
		wantStored(t, srv.Handler, r.URL, []byte("content of "+path.Base(name)))
		if m := metadataOf(t, client, r.URL); !maps.Equal(m, tus.Metadata{"filename": name}) {
			t.Errorf("metadata of %q is %q", name, m)
		}
	}
	return results
}

func wantResults(t *testing.T, got map[string]error, want map[string]error) {
	t.Helper()
	for name, err := range got {
		if wanted, ok := want[name]; !ok || !errors.Is(err, wanted) {
			t.Errorf("result of %q is %v, want %v", name, err, wanted)
		}
	}
	if len(got) != len(want) {
		t.Errorf("results of %q, want %q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

func TestDirJobs_UploadsAllFilesOfTree(t *testing.T) {
	names := []string{"b", ".hidden", "a/2", "a/1", "a/deep/er/3", "name\nwith, spaces ü"}
	if runtime.GOOS == "windows" {
		names = names[:5]
	} else {
		names = append(names, `back\slash`)
	}
	dir := tree(t, names...)
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := map[string]error{}
	for _, name := range names {
		want[name] = nil
	}
	wantResults(t, uploadTree(t, tus.DirJobs(os.DirFS(dir), nil)), want)
	wantTags(t, tus.DirJobs(fstest.MapFS{"b/2": {}, "b/10": {}, "a": {}, "c/d/e": {}}, nil), "a", "b/10", "b/2", "c/d/e")
	wantTags(t, tus.DirJobs(fstest.MapFS{}, nil))
}

func TestDirJobs_RootDirectoriesAreUploaded(t *testing.T) {
	dir := tree(t, "a/1", "a/b/2", "3")
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	wantResults(t, uploadTree(t, tus.DirJobs(root.FS(), nil)), map[string]error{"a/1": nil, "a/b/2": nil, "3": nil})
	sub, err := fs.Sub(os.DirFS(dir), "a")
	if err != nil {
		t.Fatal(err)
	}
	wantResults(t, uploadTree(t, tus.DirJobs(sub, nil)), map[string]error{"1": nil, "b/2": nil})
}

func TestDirJobs_SourceIsFileOfSystem(t *testing.T) {
	dir := tree(t, "a/1")
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	want, err := tus.File(filepath.Join(dir, "a", "1")).Stat(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, fsys := range []fs.FS{os.DirFS(dir), root.FS()} {
		for job := range tus.DirJobs(fsys, nil) {
			info, err := job.Source.Stat(testContext(t))
			if err != nil || info != want {
				t.Errorf("source is %+v, %v; that of File is %+v", info, err, want)
			}
			r, err := job.Source.Open(testContext(t), 3)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if _, ok := r.(*os.File); !ok { // which the kernel sends
				t.Errorf("reader is a %T", r)
			}
		}
	}
}

func TestDirJobs_FilterSelectsFilesAndDirectories(t *testing.T) {
	fsys := fstest.MapFS{"a.jpg": {}, "a.txt": {}, ".git/x.jpg": {}, "b/c.jpg": {}, "b/.d.jpg": {}, "cache/e.jpg": {}}
	var seen []string
	jobs := tus.DirJobs(fsys, &tus.DirOptions{Filter: func(name string, d fs.DirEntry) bool {
		seen = append(seen, name)
		if strings.HasPrefix(d.Name(), ".") || name == "cache" {
			return false
		}
		return d.IsDir() || path.Ext(name) == ".jpg"
	}})
	wantTags(t, jobs, "a.jpg", "b/c.jpg")
	if want := []string{".git", "a.jpg", "a.txt", "b", "b/.d.jpg", "b/c.jpg", "cache"}; !slices.Equal(seen, want) {
		t.Errorf("Filter got %q", seen)
	}
}

func TestDirJobs_OptionsOfEachFile(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	shared := &tus.UploadOptions{ChunkSize: 7}
	jobs := tus.DirJobs(os.DirFS(tree(t, "a", "b", "c", "d/e")), &tus.DirOptions{Options: func(name string, d fs.DirEntry) *tus.UploadOptions {
		if d.IsDir() || d.Name() != path.Base(name) {
			t.Errorf("options of %s are requested with entry %v", name, d)
		}
		switch name {
		case "a":
			return &tus.UploadOptions{Metadata: tus.Metadata{"path": name}, ChunkSize: 5}
		case "b":
			return &tus.UploadOptions{Metadata: tus.Metadata{}}
		case "c":
			return nil
		}
		return shared
	}})
	want := map[string]tus.Metadata{"a": {"path": "a"}, "b": {}, "c": {"filename": "c"}, "d/e": {"filename": "d/e"}}
	patches := map[string]int64{"a": 5, "d/e": 7}
	client := newClient(t, srv.Endpoint(), nil)
	for r, err := range client.UploadAll(testContext(t), jobs, 0) {
		name := r.Job.Tag.(string)
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, r.URL, []byte("content of "+path.Base(name)))
		if m := metadataOf(t, client, r.URL); !maps.Equal(m, want[name]) {
			t.Errorf("metadata of %s is %v", name, m)
		}
		if size := r.Job.Options.ChunkSize; size != patches[name] {
			t.Errorf("chunk size of %s is %d", name, size)
		}
		delete(want, name)
	}
	if len(want) > 0 || shared.Metadata != nil {
		t.Errorf("no results of %v, shared options are %+v", want, shared)
	}
}

func TestDirJobs_ErrorsOfEntriesAreResults(t *testing.T) {
	dir := tree(t, "a", "secret/1", "unreadable", "z/2")
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED: permissions and pipes of Unix")
	}
	want := map[string]error{"a": nil, "z/2": nil, "pipe": tus.ErrInvalidInput, "bad\xff": fs.ErrInvalid, "secret": fs.ErrPermission, "unreadable": fs.ErrPermission}
	for _, closed := range []string{"secret", "unreadable"} {
		file := filepath.Join(dir, closed)
		if err := os.Chmod(file, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(file, 0o700) })
	}
	if os.Geteuid() == 0 {
		delete(want, "secret")
		want["secret/1"], want["unreadable"] = nil, nil
	}
	if err := makePipe(filepath.Join(dir, "pipe")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad\xff"), nil, 0o600); err != nil {
		delete(want, "bad\xff") // names must be UTF-8 here
	}
	wantResults(t, uploadTree(t, tus.DirJobs(os.DirFS(dir), nil)), want)
}

// brokenDirFS fails to read a directory after its first entry.
type brokenDirFS struct {
	fs.FS
	name string
	err  error
}

func (b brokenDirFS) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(b.FS, name)
	if name == b.name {
		return entries[:1], b.err
	}
	return entries, err
}

func TestDirJobs_UnreadableDirectoryIsOneResult(t *testing.T) {
	dir := tree(t, "a/1", "a/2", "b/3")
	wantResults(t, uploadTree(t, tus.DirJobs(brokenDirFS{os.DirFS(dir), "a", errUnplugged}, nil)),
		map[string]error{"a/1": nil, "a": errUnplugged, "b/3": nil})
	wantResults(t, uploadTree(t, tus.DirJobs(os.DirFS(filepath.Join(dir, "missing")), nil)), map[string]error{".": fs.ErrNotExist})
	wantResults(t, uploadTree(t, tus.DirJobs(os.DirFS(filepath.Join(dir, "b", "3")), nil)), map[string]error{".": syscall.ENOTDIR})
	wantResults(t, uploadTree(t, tus.DirJobs(nil, nil)), map[string]error{".": tus.ErrInvalidInput})
}

func TestDirJobs_FailedEntrySendsNoRequest(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	jobs := tus.DirJobs(os.DirFS(filepath.Join(t.TempDir(), "missing")), nil)
	for r, err := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), jobs, 0) {
		wantError(t, err, fs.ErrNotExist)
		if requestsOf(r.Stats) != 0 {
			t.Errorf("requests are %v", r.Stats.Requests)
		}
	}
	wantMethods(t, srv.Handler)
}

func TestDirJobs_VanishedFileIsAnError(t *testing.T) {
	dir := tree(t, "a", "b", "c/d")
	jobs := func(yield func(tus.Job) bool) {
		for job := range tus.DirJobs(os.DirFS(dir), nil) {
			switch job.Tag {
			case "a":
				if err := os.RemoveAll(filepath.Join(dir, "c")); err != nil {
					t.Error(err)
				}
			case "b":
				if err := os.Remove(filepath.Join(dir, "b")); err != nil {
					t.Error(err)
				}
			}
			if !yield(job) {
				return
			}
		}
	}
	wantResults(t, uploadTree(t, jobs), map[string]error{"a": nil, "b": fs.ErrNotExist, "c": fs.ErrNotExist})
}

func TestDirJobs_SymlinksAreSkipped(t *testing.T) {
	dir, outside := tree(t, "a", "b/c"), tree(t, "secret")
	link(t, filepath.Join(outside, "secret"), filepath.Join(dir, "file"))
	link(t, outside, filepath.Join(dir, "directory"))
	link(t, "missing", filepath.Join(dir, "broken"))
	link(t, ".", filepath.Join(dir, "loop"))
	jobs := tus.DirJobs(os.DirFS(dir), &tus.DirOptions{Filter: func(name string, d fs.DirEntry) bool {
		if d.Type()&fs.ModeSymlink != 0 {
			t.Errorf("Filter got the link %s", name)
		}
		return true
	}})
	wantResults(t, uploadTree(t, jobs), map[string]error{"a": nil, "b/c": nil})
}

func TestDirJobs_FollowSymlinks(t *testing.T) {
	dir, outside := tree(t, "a", "b/c", "b/d/e"), tree(t, "f", "g/h")
	link(t, filepath.Join(outside, "f"), filepath.Join(dir, "f"))
	link(t, outside, filepath.Join(dir, "out"))
	link(t, "missing", filepath.Join(dir, "broken"))
	link(t, "missing", filepath.Join(dir, "b", "broken.filtered"))
	link(t, ".", filepath.Join(dir, "loop"))
	link(t, "..", filepath.Join(dir, "b", "d", "up"))
	link(t, dir, filepath.Join(outside, "g", "back"))
	link(t, "itself", filepath.Join(dir, "itself"))
	opts := &tus.DirOptions{FollowSymlinks: true, Filter: func(name string, d fs.DirEntry) bool {
		if name == "out" && !d.IsDir() || name == "f" && !d.Type().IsRegular() || d.Name() != path.Base(name) {
			t.Errorf("Filter got %s as %v", name, d)
		}
		return path.Ext(name) != ".filtered"
	}}
	want := map[string]error{
		"a": nil, "b/c": nil, "b/d/e": nil, "f": nil, "out/f": nil, "out/g/h": nil,
		"broken": fs.ErrNotExist, "loop": tus.ErrInvalidInput, "b/d/up": tus.ErrInvalidInput, "out/g/back": tus.ErrInvalidInput,
		"itself": syscall.ELOOP,
	}
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED: errors of links on Windows")
	}
	wantResults(t, uploadTree(t, tus.DirJobs(os.DirFS(dir), opts)), want)
}

func TestDirJobs_RootKeepsSymlinksInside(t *testing.T) {
	dir, outside := tree(t, "a", "b/c"), tree(t, "secret")
	link(t, filepath.Join(outside, "secret"), filepath.Join(dir, "file"))
	link(t, outside, filepath.Join(dir, "directory"))
	link(t, "b", filepath.Join(dir, "inside"))
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	results := uploadTree(t, tus.DirJobs(root.FS(), &tus.DirOptions{FollowSymlinks: true}))
	for _, name := range []string{"file", "directory"} {
		if results[name] == nil || !strings.Contains(results[name].Error(), "escapes") {
			t.Errorf("result of %s is %v", name, results[name])
		}
		delete(results, name)
	}
	wantResults(t, results, map[string]error{"a": nil, "b/c": nil, "inside/c": nil})
}

func TestDirJobs_LinkedDirectoryInMemoryIsAnError(t *testing.T) {
	fsys := fstest.MapFS{"a/content": {Data: []byte("content of content")}, "file": {Data: []byte("a/content"), Mode: fs.ModeSymlink}, "loop": {Data: []byte("."), Mode: fs.ModeSymlink}}
	if _, err := fs.Stat(fsys, "loop"); err != nil {
		t.Skip("NOT TESTED: links of fstest.MapFS need Go 1.25:", err)
	}
	wantTags(t, tus.DirJobs(fsys, nil), "a/content")
	jobs := tus.DirJobs(fsys, &tus.DirOptions{FollowSymlinks: true})
	wantTags(t, jobs, "a/content", "file", "loop")
	for job := range jobs {
		_, err := job.Source.Stat(context.Background())
		if (job.Tag == "loop") != errors.Is(err, tus.ErrInvalidInput) {
			t.Errorf("error of %s is %v", job.Tag, err)
		}
	}
}

// countingFS counts the directories and files that are opened.
type countingFS struct {
	fs.FS
	dirs, files atomic.Int64
}

func (c *countingFS) ReadDir(name string) ([]fs.DirEntry, error) {
	c.dirs.Add(1)
	return fs.ReadDir(c.FS, name)
}

func (c *countingFS) Open(name string) (fs.File, error) {
	c.files.Add(1)
	return c.FS.Open(name)
}

func TestDirJobs_ReadsDirectoriesAsJobsAreTaken(t *testing.T) {
	fsys := fstest.MapFS{}
	for dir := range 50 {
		for file := range 4 {
			fsys[path.Join("d"+string(rune('A'+dir)), string(rune('a'+file)))] = &fstest.MapFile{}
		}
	}
	counted := &countingFS{FS: fsys}
	n := 0
	for range tus.DirJobs(counted, nil) {
		if n++; n == 10 {
			break
		}
	}
	// The root, and the directories of the first ten files.
	if counted.dirs.Load() != 4 || counted.files.Load() != 0 {
		t.Errorf("%d directories and %d files were read for ten jobs", counted.dirs.Load(), counted.files.Load())
	}
}

func TestDirJobs_SlowUploadDoesNotReadAhead(t *testing.T) {
	counted := &countingFS{FS: os.DirFS(tree(t, "a/1", "a/2", "b/3", "c/4", "d/5", "e/6"))}
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.Stall()})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, err := range newClient(nil).UploadAll(ctx, tus.DirJobs(counted, nil), 2) {
			wantError(t, err, context.DeadlineExceeded)
		}
	})
	if counted.dirs.Load() != 2 {
		t.Errorf("%d directories were read for two jobs", counted.dirs.Load())
	}
}

func TestDirJobs_EarlyExitEndsWalk(t *testing.T) {
	for name, leave := range earlyExits {
		bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
			h.Inject(tustest.Fault{Method: "POST", Skip: 1, Times: -1, Action: tustest.Stall()})
			fsys := &countingFS{FS: fstest.MapFS{"a/1": {Data: []byte("1")}, "a/2": {Data: []byte("2")}, "b/3": {Data: []byte("3")}, "c/4": {Data: []byte("4")}, "d/5": {Data: []byte("5")}}}
			leave(newClient(nil).UploadAll(t.Context(), tus.DirJobs(fsys, nil), 2))
			if n := fsys.dirs.Load(); n > 3 {
				t.Errorf("%s: %d directories were read", name, n)
			}
		})
	}
}

func TestDirJobs_PanicOfFilterReachesCaller(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		defer func() {
			if got := recover(); got != "no filter" {
				t.Errorf("recovered %v", got)
			}
		}()
		jobs := tus.DirJobs(fstest.MapFS{"a": {Data: []byte("a")}, "b": {}}, &tus.DirOptions{Filter: func(name string, _ fs.DirEntry) bool {
			if name == "b" {
				panic("no filter")
			}
			return true
		}})
		for range newClient(nil).UploadAll(t.Context(), jobs, 0) {
		}
		t.Error("the loop ended without a panic")
	})
}

func TestDirJobs_InterruptedFileIsResumed(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	dir := t.TempDir()
	data := randomBytes(9000)
	if err := os.WriteFile(filepath.Join(dir, "large"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, stop := range []int64{3000, 0} {
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
		jobs := tus.DirJobs(os.DirFS(dir), &tus.DirOptions{Options: func(string, fs.DirEntry) *tus.UploadOptions {
			return &tus.UploadOptions{ChunkSize: 1000, StopAt: stop}
		}})
		for r, err := range client.UploadAll(testContext(t), jobs, 0) {
			if stop > 0 {
				wantError(t, err, tus.ErrPaused)
				continue
			}
			if err != nil || r.Stats.ResumedFrom != 3000 {
				t.Fatalf("resumed from %d: %v", r.Stats.ResumedFrom, err)
			}
			wantStored(t, srv.Handler, r.URL, data)
		}
	}
}

func TestFileJobs_UploadsInOrder(t *testing.T) {
	dir := tree(t, "a", "b", "c")
	at := func(name string) string { return filepath.Join(dir, name) }
	paths := []string{at("b"), at("missing"), at("a"), dir, at("c")}
	want := map[string]error{at("missing"): fs.ErrNotExist, dir: tus.ErrInvalidInput}
	srv := tustest.NewServer(t, nil)
	var order []string
	client := newClient(t, srv.Endpoint(), nil)
	for r, err := range client.UploadAll(testContext(t), tus.FileJobs(paths...), 1) {
		file := r.Job.Tag.(string)
		order = append(order, file)
		if !errors.Is(err, want[file]) || err != nil && want[file] == nil {
			t.Errorf("result of %s is %v", file, err)
		}
		if err == nil {
			wantStored(t, srv.Handler, r.URL, []byte("content of "+filepath.Base(file)))
			if m := metadataOf(t, client, r.URL); m["filename"] != filepath.Base(file) {
				t.Errorf("metadata of %s is %v", file, m)
			}
		}
	}
	if !slices.Equal(order, paths) {
		t.Errorf("results are %q", order)
	}
	wantTags(t, tus.FileJobs())
	for range tus.FileJobs(paths...) {
		break
	}
}

func TestUploadAll_SlowJobKeepsOnlyItsSlot(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	release := make(chan struct{})
	srv.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if r.Header.Get("Upload-Length") == "100" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		h.Serve(w, r)
	}})
	var order []int
	for r, err := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), slices.Values(bytesJobs(30)), 2) {
		wantJobStored(t, srv.Handler, r, err)
		if order = append(order, len(r.Job.Tag.([]byte))-100); len(order) == 29 {
			close(release)
		}
	}
	// The other slot takes the other jobs in their order; the slow one ends last.
	want := make([]int, 30)
	for i := range want {
		want[i] = (i + 1) % 30
	}
	if !slices.Equal(order, want) {
		t.Errorf("results are %v", order)
	}
}
