package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
)

// openQuarantine opens a store with Quarantine, and returns the path to which the file
// was renamed, or "" if it was not.
func openQuarantine(t *testing.T, path string, opts boltstore.Options) (s *boltstore.Store, quarantined string) {
	t.Helper()
	s = open(t, path, &boltstore.Options{Shared: opts.Shared, Quarantine: true, OnWarning: func(err error) {
		var storageErr *storage.Error
		if !errors.As(err, &storageErr) || !errors.Is(err, storage.ErrCorrupt) || quarantined != "" {
			t.Errorf("warning %v after %q", err, quarantined)
			return
		}
		quarantined = storageErr.Path
	}})
	return s, quarantined
}

func TestQuarantine_RenamesCorruptFile(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		path := filepath.Join(t.TempDir(), "uploads.db")
		corrupt := bytes.Repeat([]byte("corrupt"), 10_000)
		for range 2 { // each file gets its own name
			write(t, path, corrupt)
			s, quarantined := openQuarantine(t, path, opts)
			if !strings.HasPrefix(quarantined, path+".corrupt-") {
				t.Errorf("renamed to %q", quarantined)
			}
			if got, err := os.ReadFile(quarantined); err != nil || !bytes.Equal(got, corrupt) {
				t.Errorf("%q is not the corrupt file: %v", quarantined, err)
			}
			put(t, s, record("key", 0))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			// The new file is valid and is not renamed.
			s, quarantined = openQuarantine(t, path, opts)
			if quarantined != "" {
				t.Errorf("a valid file was renamed to %q", quarantined)
			}
			if found, err := s.Find(t.Context(), "key"); len(found) != 1 || err != nil {
				t.Errorf("found %v, %v", found, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if files, err := filepath.Glob(path + ".corrupt-*"); len(files) != 2 {
			t.Errorf("%d files in quarantine, want 2 (%v)", len(files), err)
		}
	})
}

// Concurrent calls of Open rename the corrupt file, or the database of another program,
// but not the new file of another call.
func TestQuarantine_ConcurrentOpensRenameOnce(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		for name, data := range map[string][]byte{
			"corrupt": bytes.Repeat([]byte("corrupt"), 10_000), "other program": otherDatabases(t)["other program"],
		} {
			for range 10 {
				path := filepath.Join(t.TempDir(), "uploads.db")
				write(t, path, data)
				const openers = 4
				errs := make(chan error, openers)
				for range openers {
					go func() {
						s, err := boltstore.Open(path, &boltstore.Options{Shared: opts.Shared, Quarantine: true, LockTimeout: time.Minute})
						if err == nil {
							_, err = s.Put(t.Context(), record("key", 0))
							err = errors.Join(err, s.Close())
						}
						errs <- err
					}()
				}
				for range openers {
					if err := <-errs; err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				if files, err := filepath.Glob(path + ".corrupt-*"); len(files) != 1 {
					t.Errorf("%s: %d files in quarantine, want 1 (%v)", name, len(files), err)
				}
				s := open(t, path, &opts)
				if found, err := s.Find(t.Context(), "key"); len(found) != openers || err != nil {
					t.Errorf("%s: found %d records, %v, want %d", name, len(found), err, openers)
				}
			}
		}
	})
}

// Quarantine also applies to databases of other programs, which bbolt can open.
func TestQuarantine_RenamesOtherDatabase(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		for name, data := range otherDatabases(t) {
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "uploads.db")
				write(t, path, data)
				s, quarantined := openQuarantine(t, path, opts)
				if !strings.HasPrefix(quarantined, path+".corrupt-") {
					t.Errorf("renamed to %q", quarantined)
				}
				if got, err := os.ReadFile(quarantined); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%q is not the unchanged file: %v", quarantined, err)
				}
				put(t, s, record("key", 0))
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s, quarantined = openQuarantine(t, path, opts)
				if found, err := s.Find(t.Context(), "key"); len(found) != 1 || err != nil || quarantined != "" {
					t.Errorf("found %v, %v, renamed to %q", found, err, quarantined)
				}
			})
		}
	})
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

func TestQuarantine_PanicOfWarningReachesCaller(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		path := filepath.Join(t.TempDir(), "uploads.db")
		corrupt := bytes.Repeat([]byte("corrupt"), 10_000)
		write(t, path, corrupt)
		func() {
			defer func() {
				if p := recover(); p != "warned" {
					t.Errorf("recovered %v, want the panic of OnWarning", p)
				}
			}()
			opts := opts
			opts.Quarantine, opts.OnWarning = true, func(error) { panic("warned") }
			_, err := boltstore.Open(path, &opts)
			t.Errorf("Open returned %v", err)
		}()
		// The file in quarantine is not locked any more.
		files, err := filepath.Glob(path + ".corrupt-*")
		if err != nil || len(files) != 1 {
			t.Fatalf("files in quarantine are %v, %v", files, err)
		}
		f, err := os.Open(files[0])
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := filelock.Lock(ctx, f); err != nil {
			t.Error(err)
		}
	})
}
