package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

// What is not a regular file is not opened: opening a pipe or a device may have effects.
func TestOpen_DirectoryIsNotRegularFile(t *testing.T) {
	_, err := boltstore.Open(t.TempDir(), &boltstore.Options{Quarantine: true})
	if err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error %v, want not a regular file", err)
	}
}

func TestOpen_SecondProcessIsLockedOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	other := start(t, "hold", path, boltstore.Options{})
	for _, timeout := range []time.Duration{-1, time.Millisecond, 100 * time.Millisecond} {
		_, err := boltstore.Open(path, &boltstore.Options{LockTimeout: timeout, Quarantine: true})
		var storageErr *storage.Error
		if !errors.Is(err, storage.ErrLocked) || !errors.As(err, &storageErr) || storageErr.Path != path {
			t.Errorf("with timeout %v: %v, want ErrLocked with the path", timeout, err)
		}
	}
	other.end(t)
	put(t, open(t, path, nil), record("key", 0))
}

func TestOpen_WaitsForOtherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	other := start(t, "hold", path, boltstore.Options{})
	opened := make(chan error)
	go func() {
		s, err := boltstore.Open(path, &boltstore.Options{LockTimeout: time.Minute})
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("opened while another process has it: %v", err)
	default:
	}
	other.end(t)
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

func TestOpen_SecondOpenInProcessIsLockedOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	s := open(t, path, nil)
	if _, err := boltstore.Open(path, &boltstore.Options{LockTimeout: -1}); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	}
	put(t, s, record("key", 0))
}

func TestOpen_FileAndDirectoriesArePrivate(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		top := filepath.Join(t.TempDir(), "a")
		path := filepath.Join(top, "b", "uploads.db")
		s := open(t, path, &opts)
		put(t, s, record("key", 0))
		if runtime.GOOS == "windows" {
			return // Windows has no such modes
		}
		for at, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700 | os.ModeDir, top: 0o700 | os.ModeDir} {
			info, err := os.Stat(at)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != want {
				t.Errorf("mode of %s is %v, want %v", at, info.Mode(), want)
			}
		}
	})
}

func TestOpen_ErrorNamesPath(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file, []byte("x"))
	for _, path := range []string{dir, filepath.Join(file, "uploads.db")} {
		_, err := boltstore.Open(path, &boltstore.Options{Quarantine: true})
		var storageErr *storage.Error
		if !errors.As(err, &storageErr) || storageErr.Path != path || strings.Count(err.Error(), path) != 1 {
			t.Errorf("error %v, want one that names %s", err, path)
		}
	}
}

// database returns the bytes of a new bbolt file.
func database(t *testing.T, fill func(*bbolt.Tx) error) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if fill != nil {
		if err := db.Update(fill); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func pristineDatabase(t *testing.T) []byte { return database(t, nil) }

// buckets returns a function that creates the buckets with their keys and values.
func buckets(content map[string]map[string]string) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		for name, pairs := range content {
			b, err := tx.CreateBucket([]byte(name))
			if err != nil {
				return err
			}
			for k, v := range pairs {
				if err := b.Put([]byte(k), []byte(v)); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// layout1 is a file of the first release. Later releases must read it: never change it.
func layout1() map[string]map[string]string {
	const header = "\x00\x00\x00\x00\x00\x00\x00\x07" + // revision
		"\x2c\x70\xe1\x2b\x7a\x06\x46\xf9\x22\x79\xf4\x27\xc7\xb3\x8e\x73" + // SHA-256 of "key"
		"\x8c\x95\x29\x09" // checksum
	return map[string]map[string]string{
		"schema": {"version": "1 90f599e3"},
		"records": {"a1": header +
			`{"version":1,"crc32c":"5399afb6","record":{"id":"a1","revision":7,"fingerprint":"key","size":5}}` + "\n"},
		"index": {"\x2c\x70\xe1\x2b\x7a\x06\x46\xf9\x22\x79\xf4\x27\xc7\xb3\x8e\x73a1": ""},
	}
}

func TestLayout_Version1IsUnchanged(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		path := filepath.Join(t.TempDir(), "uploads.db")
		write(t, path, database(t, buckets(layout1())))
		s := open(t, path, &opts)
		want := storage.Record{ID: "a1", Revision: 7, Fingerprint: "key", Size: 5}
		if found, err := s.Find(t.Context(), "key"); err != nil || len(found) != 1 || !reflect.DeepEqual(found[0], want) {
			t.Errorf("found %+v, %v, want %+v", found, err, want)
		}
		// Putting the record again writes the same bytes.
		if err := s.Delete(t.Context(), "a1", 7); err != nil {
			t.Fatal(err)
		}
		rec := storage.Record{ID: "a1", Fingerprint: "key", Size: 5}
		for range 7 {
			rec = put(t, s, rec)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = db.View(func(tx *bbolt.Tx) error {
			for name, pairs := range layout1() {
				for k, v := range pairs {
					if got := tx.Bucket([]byte(name)).Get([]byte(k)); string(got) != v {
						t.Errorf("%s of %s is\n%q, want\n%q", k, name, got, v)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestOpen_NewerLayoutIsKept(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		path := filepath.Join(t.TempDir(), "uploads.db")
		data := database(t, buckets(map[string]map[string]string{"schema": {"version": "2 83a56a17"}, "uploads": {}}))
		write(t, path, data)
		_, err := boltstore.Open(path, &boltstore.Options{Shared: opts.Shared, Quarantine: true})
		if !errors.Is(err, storage.ErrNewerVersion) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want ErrNewerVersion with the path", err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != string(data) {
			t.Errorf("the file was changed: %v", err)
		}
	})
}

// otherDatabases returns bbolt databases that are not stores of this package.
func otherDatabases(t *testing.T) map[string][]byte {
	files := map[string][]byte{
		"nested bucket in records": database(t, func(tx *bbolt.Tx) error {
			if err := buckets(map[string]map[string]string{"schema": {"version": "1 90f599e3"}})(tx); err != nil {
				return err
			}
			b, err := tx.CreateBucket([]byte("records"))
			if err == nil {
				_, err = b.CreateBucket([]byte("a"))
			}
			return err
		}),
	}
	for name, content := range map[string]map[string]map[string]string{
		"other program":     {"passwords": {"root": "toor"}},
		"without records":   {"schema": {"version": "1 90f599e3"}},
		"without a version": {"schema": {}, "records": {}},
		"version zero":      {"schema": {"version": "0 629e1ae0"}, "records": {}},
		"wrong checksum":    {"schema": {"version": "2 00000000"}, "records": {}},
	} {
		files[name] = database(t, buckets(content))
	}
	return files
}

func TestOpen_OtherDatabaseIsCorrupt(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		for name, data := range otherDatabases(t) {
			path := filepath.Join(t.TempDir(), "uploads.db")
			write(t, path, data)
			if _, err := boltstore.Open(path, &opts); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("database %s: %v, want ErrCorrupt", name, err)
			}
		}
	})
}

// A corrupt record in a valid database hides no other record.
func TestStore_CorruptRecordCanBeDeleted(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		path := filepath.Join(t.TempDir(), "uploads.db")
		s := open(t, path, &opts)
		good, bad := put(t, s, record("key", 0)), put(t, s, record("key", 0))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		replaceRecord(t, path, bad.ID, func(key, value []byte) ([]byte, []byte) {
			return key, bytes.Replace(value, []byte("https"), []byte("htpts"), 1)
		})

		s = open(t, path, &opts)
		wantCorrupt := func(err error) {
			t.Helper()
			var storageErr *storage.Error
			if !errors.Is(err, storage.ErrCorrupt) || !errors.As(err, &storageErr) || storageErr.Path != path || storageErr.ID != bad.ID {
				t.Errorf("error %v, want ErrCorrupt with path and ID", err)
			}
		}
		found, err := s.Find(t.Context(), "key")
		wantCorrupt(err)
		if len(found) != 1 || found[0].ID != good.ID {
			t.Errorf("found %v, want the valid record", found)
		}
		yielded := 0
		for rec, err := range s.All(t.Context()) {
			if yielded++; err != nil {
				wantCorrupt(err)
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
		wantCorrupt(s.Delete(t.Context(), bad.ID, bad.Revision))
		if err := s.Delete(t.Context(), bad.ID, 0); err != nil {
			t.Fatal(err)
		}
		if found, err := s.Find(t.Context(), "key"); len(found) != 1 || err != nil {
			t.Errorf("found %v, %v", found, err)
		}
	})
}

func TestPut_CancelEndsWaitForDisk(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		s := open(t, filepath.Join(t.TempDir(), "uploads.db"), &opts)
		// A queued Put whose context is canceled returns, and its record is not stored.
		const writers = 200
		type outcome struct {
			id  string
			err error
		}
		outcomes := make(chan outcome, writers)
		ctx, cancel := context.WithCancel(t.Context())
		for range writers {
			go func() {
				rec := record("key", 0)
				_, err := s.Put(ctx, rec)
				outcomes <- outcome{rec.ID, err}
			}()
		}
		cancel()
		stored := map[string]bool{}
		for range writers {
			o := <-outcomes
			if o.err != nil && !errors.Is(o.err, context.Canceled) {
				t.Errorf("Put: %v, want context.Canceled", o.err)
			}
			stored[o.id] = o.err == nil
		}
		for rec, err := range s.All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if !stored[rec.ID] {
				t.Error("a record was stored although Put returned an error")
			}
			delete(stored, rec.ID)
		}
		for _, ok := range stored {
			if ok {
				t.Error("a record is missing although Put returned nil")
			}
		}
	})
}
