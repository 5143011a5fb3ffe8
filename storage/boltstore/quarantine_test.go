package boltstore_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

// openQuarantine opens a store with Quarantine, and returns the path to which the file
// was renamed, or "" if it was not.
func openQuarantine(t *testing.T, path string) (s *boltstore.Store, quarantined string) {
	t.Helper()
	s = open(t, path, &boltstore.Options{Quarantine: true, OnWarning: func(err error) {
		var storageErr *storage.Error
		if !errors.As(err, &storageErr) || !errors.Is(err, storage.ErrCorrupt) || quarantined != "" {
			t.Errorf("warning %v after %q", err, quarantined)
			return
		}
		quarantined = storageErr.Path
	}})
	return s, quarantined
}

// Quarantine also applies to databases of other programs, which bbolt can open.
func TestQuarantine_MovesOtherDatabase(t *testing.T) {
	for name, data := range otherDatabases(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "uploads.db")
			write(t, path, data)
			s, quarantined := openQuarantine(t, path)
			if !strings.HasPrefix(quarantined, path+".corrupt-") {
				t.Errorf("moved to %q", quarantined)
			}
			if got, err := os.ReadFile(quarantined); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%q is not the unchanged file: %v", quarantined, err)
			}
			put(t, s, record("key", 0))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s, quarantined = openQuarantine(t, path)
			if found, err := s.Find(t.Context(), "key"); len(found) != 1 || err != nil || quarantined != "" {
				t.Errorf("found %v, %v, moved to %q", found, err, quarantined)
			}
		})
	}
}

// A database that another program has open is not renamed.
func TestQuarantine_KeepsDatabaseInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	write(t, path, otherDatabases(t)["other program"])
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = boltstore.Open(path, &boltstore.Options{Quarantine: true, LockTimeout: -1})
	if !errors.Is(err, storage.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
}
