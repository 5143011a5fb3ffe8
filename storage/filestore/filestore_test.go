package filestore_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/storage/storagetest"
)

func open(t testing.TB, dir string, opts *filestore.Options) *filestore.Store {
	t.Helper()
	s, err := filestore.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func record(fingerprint string) storage.Record {
	return storage.Record{
		ID: storage.NewID(), Fingerprint: fingerprint, UploadURL: "https://example.org/files/" + storage.NewID(),
		Endpoint: "https://example.org/files/", Size: 1 << 40, Metadata: map[string]string{"filename": "movie.mp4"},
		Created: time.Now(), Updated: time.Now(),
	}
}

func put(t testing.TB, s storage.Store, rec storage.Record) storage.Record {
	t.Helper()
	stored, err := s.Put(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestStore_PassesStoreTests(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, t.TempDir(), nil) })
	storagetest.RunDurable(t, func(t *testing.T, dir string) storage.Store { return open(t, dir, nil) })
}

// Two stores of one directory see each other's changes.
func TestStore_SharesDirectory(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir, nil), open(t, dir, nil)
	first := put(t, a, record("key"))
	second := put(t, b, first)
	if _, err := a.Put(t.Context(), first); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("Put of a record that the other store changed: %v, want ErrConflict", err)
	}
	put(t, a, second)
	if err := b.Delete(t.Context(), first.ID, 3); err != nil {
		t.Fatal(err)
	}
	if found, err := a.Find(t.Context(), "key"); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
}

// recordFile returns the path of the only record in a directory.
func recordFile(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "??", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("record files %v, %v", files, err)
	}
	return files[0]
}

func TestStore_FilesAndDirectoriesArePrivate(t *testing.T) {
	top := filepath.Join(t.TempDir(), "a")
	dir := filepath.Join(top, "b")
	put(t, open(t, dir, nil), record("key"))
	if runtime.GOOS == "windows" {
		return // Windows has no such modes
	}
	seen := 0
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		seen++
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("mode of %s is %v, want %v", path, info.Mode(), want)
		}
		return nil
	})
	if err != nil || seen != 8 {
		t.Errorf("%d files and directories, %v, want 8", seen, err)
	}
}

// Later releases must find what the first release wrote: never change this.
func TestLayout_NamesAndContentAreUnchanged(t *testing.T) {
	dir := t.TempDir()
	const (
		name    = "2c/2c70e12b7a0646f92279f427c7b38e73-a1.json"
		content = `{"version":1,"crc32c":"5399afb6","record":{"id":"a1","revision":7,"fingerprint":"key","size":5}}` + "\n"
	)
	path := filepath.Join(dir, filepath.FromSlash(name))
	s := open(t, dir, nil)
	write(t, path, content)
	want := storage.Record{ID: "a1", Revision: 7, Fingerprint: "key", Size: 5}
	found, err := s.Find(t.Context(), "key")
	if err != nil || len(found) != 1 || !reflect.DeepEqual(found[0], want) {
		t.Fatalf("found %+v, %v, want %+v", found, err, want)
	}
	if err := s.Delete(t.Context(), "a1", 7); err != nil {
		t.Fatal(err)
	}
	rec := storage.Record{ID: "a1", Fingerprint: "key", Size: 5}
	for range 7 {
		rec = put(t, s, rec)
	}
	if data, err := os.ReadFile(path); string(data) != content {
		t.Errorf("%s is\n%s, %v", name, data, err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStore_CorruptRecordCanBeDeleted(t *testing.T) {
	for name, corrupt := range map[string]func(string) string{
		"truncated":  func(s string) string { return s[:len(s)/2] },
		"empty":      func(string) string { return "" },
		"zeros":      func(s string) string { return strings.Repeat("\x00", len(s)) },
		"changed":    func(s string) string { return strings.Replace(s, "https", "htpts", 1) },
		"other JSON": func(string) string { return "{}\n" },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, nil)
			bad := put(t, s, record("key"))
			path := recordFile(t, dir)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, corrupt(string(data)))
			good := put(t, s, record("key"))
			wantUnreadable(t, s, good, bad, path, storage.ErrCorrupt)
			if _, err := s.Put(t.Context(), bad); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("Put: %v, want ErrCorrupt", err)
			}
			if err := s.Delete(t.Context(), bad.ID, bad.Revision); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("Delete: %v, want ErrCorrupt", err)
			}
			if err := s.Delete(t.Context(), bad.ID, 0); err != nil {
				t.Fatal(err)
			}
			if found, err := s.Find(t.Context(), "key"); len(found) != 1 || err != nil {
				t.Errorf("found %v, %v", found, err)
			}
		})
	}
}

// wantUnreadable checks that the store returns the good record, and an error with path
// and ID for the bad one.
func wantUnreadable(t *testing.T, s *filestore.Store, good, bad storage.Record, path string, condition error) {
	t.Helper()
	wantError := func(err error) {
		t.Helper()
		var storageErr *storage.Error
		if !errors.Is(err, condition) || !errors.As(err, &storageErr) || storageErr.Path != path || storageErr.ID != bad.ID {
			t.Errorf("error %v, want %v with path and ID", err, condition)
		}
	}
	found, err := s.Find(t.Context(), "key")
	wantError(err)
	if len(found) != 1 || found[0].ID != good.ID {
		t.Errorf("found %v, want the good record", found)
	}
	yielded := 0
	for rec, err := range s.All(t.Context()) {
		if yielded++; err != nil {
			wantError(err)
		} else if rec.ID != good.ID {
			t.Errorf("All yields %v", rec)
		}
	}
	if yielded != 2 {
		t.Errorf("All yields %d times, want 2", yielded)
	}
	if n, err := storage.DeleteExpired(t.Context(), s, time.Now()); n != 0 || err != nil {
		t.Errorf("DeleteExpired: %d, %v", n, err)
	}
}

func TestStore_NewerRecordIsKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	newer := put(t, s, record("key"))
	path := recordFile(t, dir)
	const content = `{"version":2,"crc32c":"66650640","record":{}}`
	write(t, path, content)
	wantUnreadable(t, s, put(t, s, record("key")), newer, path, storage.ErrNewerVersion)
	if _, err := s.Put(t.Context(), newer); !errors.Is(err, storage.ErrNewerVersion) {
		t.Errorf("Put: %v, want ErrNewerVersion", err)
	}
	if data, err := os.ReadFile(path); string(data) != content {
		t.Errorf("the file was changed: %s, %v", data, err)
	}
}

func TestFind_RecordUnderOtherNameIsCorrupt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	rec := put(t, s, record("key"))
	path := recordFile(t, dir)
	copied := strings.Replace(path, rec.ID, storage.NewID(), 1)
	if err := os.Rename(path, copied); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Find(t.Context(), "key"); len(found) != 0 || !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("found %v, %v, want ErrCorrupt", found, err)
	}
}

// The store ignores files that are not records.
func TestStore_OtherFilesAreIgnored(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	rec := put(t, s, record("key"))
	path := recordFile(t, dir)
	shard := filepath.Dir(path)
	for _, name := range []string{
		".DS_Store", "notes.json", filepath.Base(path) + "~", filepath.Base(path) + ".json", ".tmp.json", "-.json",
		strings.Repeat("0", 32) + "-a.json", strings.ToUpper(filepath.Base(path)), strings.Repeat("g", 32) + "-a.json",
		filepath.Base(path)[:32] + "-A.json", filepath.Base(path)[:32] + "-.json",
	} {
		write(t, filepath.Join(shard, name), "not a record")
	}
	write(t, filepath.Join(dir, "tmp", "123.json"), "half a rec")
	write(t, filepath.Join(dir, "README"), "what is this?")
	n := 0
	for got, err := range s.All(t.Context()) {
		if n++; err != nil || got.ID != rec.ID {
			t.Errorf("All yields %v, %v", got, err)
		}
	}
	if found, err := s.Find(t.Context(), "key"); n != 1 || len(found) != 1 || err != nil {
		t.Errorf("All yields %d records, Find %d, %v", n, len(found), err)
	}
}

func TestStore_DirectoryAsRecordIsCorrupt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	bad := put(t, s, record("key"))
	path := recordFile(t, dir)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	wantUnreadable(t, s, put(t, s, record("key")), bad, path, storage.ErrCorrupt)
}

// A killed process leaves temporary files. A recent one may be in use.
func TestOpen_RemovesOldTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, nil)
	old, fresh := filepath.Join(dir, "tmp", "old.json"), filepath.Join(dir, "tmp", "new.json")
	write(t, old, "half a rec")
	write(t, fresh, "half a rec")
	before := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(old, before, before); err != nil {
		t.Fatal(err)
	}
	open(t, dir, nil)
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("old file: %v, want it removed", err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("new file: %v", err)
	}
}

// The directory may be deleted while the store is open.
func TestPut_RecreatesDeletedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := open(t, dir, nil)
	rec := put(t, s, record("key"))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Find(t.Context(), "key"); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	if _, err := s.Put(t.Context(), rec); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("Put of a deleted record: %v, want ErrConflict", err)
	}
	rec = put(t, s, record("key"))
	if err := s.Delete(t.Context(), rec.ID, rec.Revision); err != nil {
		t.Error(err)
	}
}

func TestStore_LeavesNoOtherFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	rec := put(t, s, record("key"))
	rec = put(t, s, rec)
	rec.Revision = 5
	if _, err := s.Put(t.Context(), rec); !errors.Is(err, storage.ErrConflict) {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), rec.ID, 2); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files != 1 {
		t.Errorf("%d files, %v, want only the lock", files, err)
	}
}

// The files in directory id are only hints.
func TestStore_MissingOrWrongHintIsIgnored(t *testing.T) {
	for name, corrupt := range map[string]func(hint string) error{
		"missing": os.Remove,
		"empty":   func(hint string) error { return os.Truncate(hint, 0) },
		"huge":    func(hint string) error { return os.Truncate(hint, 1<<30) },
		"garbage": func(hint string) error { return os.WriteFile(hint, []byte(strings.Repeat("../", 11)[:32]), 0o600) },
		"of no record": func(hint string) error {
			return os.WriteFile(hint, []byte(strings.Repeat("0", 32)), 0o600)
		},
	} {
		dir := t.TempDir()
		s := open(t, dir, nil)
		rec := put(t, s, record("key"))
		if err := corrupt(filepath.Join(dir, "id", rec.ID)); err != nil {
			t.Fatal(err)
		}
		rec = put(t, s, rec)
		if found, err := s.Find(t.Context(), "key"); len(found) != 1 || err != nil {
			t.Errorf("hint %s: found %v, %v", name, found, err)
		}
		if err := s.Delete(t.Context(), rec.ID, rec.Revision); err != nil {
			t.Errorf("hint %s: %v", name, err)
		}
		if found, err := s.Find(t.Context(), "key"); len(found) != 0 || err != nil {
			t.Errorf("hint %s: found %v, %v after Delete", name, found, err)
		}
		rec.Revision = 0
		put(t, s, rec)
	}
}

func TestOpen_ErrorNamesPath(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "x")
	for _, dir := range []string{file, filepath.Join(file, "sub")} {
		_, err := filestore.Open(dir, nil)
		var storageErr *storage.Error
		if !errors.As(err, &storageErr) || storageErr.Path != dir {
			t.Errorf("error %v, want one that names %s", err, dir)
		}
	}
}

func TestLock_WaitIsBounded(t *testing.T) {
	dir := t.TempDir()
	other := start(t, "hold", dir)
	rec := record("key")

	s := open(t, dir, &filestore.Options{LockTimeout: 50 * time.Millisecond})
	for name, change := range map[string]func(context.Context) error{
		"Put":    func(ctx context.Context) error { _, err := s.Put(ctx, rec); return err },
		"Delete": func(ctx context.Context) error { return s.Delete(ctx, rec.ID, 1) },
	} {
		err := change(t.Context())
		var storageErr *storage.Error
		if !errors.Is(err, storage.ErrLocked) || !errors.As(err, &storageErr) || storageErr.Path != filepath.Join(dir, "lock") {
			t.Errorf("%s: %v, want ErrLocked with the path", name, err)
		}
	}
	if _, err := s.Find(t.Context(), "key"); err != nil {
		t.Errorf("Find, which needs no lock: %v", err)
	}

	s = open(t, dir, &filestore.Options{LockTimeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 2)
	for range 2 { // one waits for the other process, one for the first
		go func() {
			_, err := s.Put(ctx, record("key"))
			results <- err
		}()
	}
	cancel()
	for range 2 {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("Put: %v, want context.Canceled", err)
		}
	}

	other.end(t)
	put(t, open(t, dir, &filestore.Options{LockTimeout: -1}), rec)
	put(t, s, record("key"))
}
