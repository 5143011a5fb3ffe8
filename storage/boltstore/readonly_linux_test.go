package boltstore_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

// asOtherUser calls f in a thread without the rights of root on files.
func asOtherUser(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Setfsuid(12345); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setfsuid(0)
	f()
}

// readOnlyDir returns a new directory, and a function that makes it and its files
// readable only.
func readOnlyDir(t *testing.T) (dir string, protect func()) {
	dir = t.TempDir()
	chmod(t, filepath.Dir(dir), 0o755)
	t.Cleanup(func() { chmod(t, dir, 0o755) })
	return dir, func() {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if os.Geteuid() == 0 {
				if err := os.Chown(path, 12345, 12345); err != nil {
					t.Fatal(err)
				}
			}
			chmod(t, path, 0o400)
		}
		chmod(t, dir, 0o555)
	}
}

func TestShared_ReadOnlyFileCanBeRead(t *testing.T) {
	for _, indexed := range []bool{true, false} {
		dir, protect := readOnlyDir(t)
		path := filepath.Join(dir, "uploads.db")
		s := openShared(t, path)
		rec, other := put(t, s, record("key", 0)), put(t, s, record("other", 0))
		if !indexed {
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("index")) })
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}
		protect()
		data := readAll(t, path)
		asOtherUser(t, func() {
			s := openShared(t, path)
			for range 2 {
				found, err := s.Find(t.Context(), "key")
				if err != nil || !reflect.DeepEqual(found, []storage.Record{rec}) {
					t.Errorf("found %v, %v", found, err)
				}
				yielded := 0
				for _, err := range s.All(t.Context()) {
					if yielded++; err != nil {
						t.Errorf("All: %v", err)
					}
				}
				if yielded != 2 {
					t.Errorf("All yields %d records, want 2", yielded)
				}
				_, err = s.Put(t.Context(), other)
				for call, err := range map[string]error{"Put": err, "Delete": s.Delete(t.Context(), other.ID, other.Revision)} {
					if !errors.Is(err, fs.ErrPermission) || strings.Count(err.Error(), path) != 1 {
						t.Errorf("%s: %v, want permission denied with the path", call, err)
					}
				}
			}
		})
		if got := readAll(t, path); got != data {
			t.Error("the file was changed")
		}
	}
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestOpen_ReadOnlyDirectoryFails(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		for name, data := range map[string][]byte{"absent": nil, "empty": {}, "pristine": pristineDatabase(t)} {
			dir, protect := readOnlyDir(t)
			path := filepath.Join(dir, "uploads.db")
			if name != "absent" {
				write(t, path, data)
			}
			protect()
			asOtherUser(t, func() {
				_, err := boltstore.Open(path, &opts)
				if !errors.Is(err, fs.ErrPermission) || strings.Count(err.Error(), path) != 1 {
					t.Errorf("%s: %v, want permission denied with the path", name, err)
				}
			})
		}
	})
}
