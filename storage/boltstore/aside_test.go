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

// The policy covers what is no database of this package, whether bbolt can open it
// or not: a program that asked for it must not be stopped for ever.
func TestOtherDatabaseIsMovedAsideOnRequest(t *testing.T) {
	for name, data := range otherDatabases(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "uploads.db")
			write(t, path, data)
			s := open(t, path, &boltstore.Options{OnCorrupt: boltstore.CorruptMovedAside})
			aside := s.MovedAside()
			if !strings.HasPrefix(aside, path+".corrupt-") {
				t.Errorf("moved to %q", aside)
			}
			if got, err := os.ReadFile(aside); err != nil || !bytes.Equal(got, data) {
				t.Errorf("what was there is not at %q, unchanged: %v", aside, err)
			}
			put(t, s, record("key", 0))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, path, &boltstore.Options{OnCorrupt: boltstore.CorruptMovedAside})
			if found, err := s.Find(t.Context(), "key"); len(found) != 1 || err != nil || s.MovedAside() != "" {
				t.Errorf("found %v, %v, moved to %q", found, err, s.MovedAside())
			}
		})
	}
}

// A program that has its database open must not lose it.
func TestOtherDatabaseInUseIsNotMovedAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	write(t, path, otherDatabases(t)["of something else"])
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = boltstore.Open(path, &boltstore.Options{OnCorrupt: boltstore.CorruptMovedAside, LockTimeout: -1})
	if !errors.Is(err, storage.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
}
