//go:build unix

package boltstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

func TestOpen_AccessibleFileBecomesPrivate(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		for _, mode := range []os.FileMode{0o666, 0o644, 0o640, 0o606} {
			path := filepath.Join(t.TempDir(), "uploads.db")
			write(t, path, nil)
			chmod(t, path, mode)
			for session := range 2 { // a new file, and one with records
				var warnings []error
				s := open(t, path, &boltstore.Options{Shared: opts.Shared, OnWarning: func(err error) { warnings = append(warnings, err) }})
				put(t, s, record("key", 0))
				info, err := os.Stat(path)
				if err != nil || info.Mode() != 0o600 {
					t.Errorf("mode %v was %v, %v", mode, info.Mode(), err)
				}
				var storageErr *storage.Error
				if len(warnings) != 1 || !errors.As(warnings[0], &storageErr) || storageErr.Path != path || strings.Count(warnings[0].Error(), path) != 1 {
					t.Errorf("session %d: warnings are %v", session, warnings)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				chmod(t, path, mode)
			}
			chmod(t, path, 0o600)
			open(t, path, &boltstore.Options{Shared: opts.Shared, OnWarning: func(err error) { t.Errorf("warning %v", err) }})
		}
	})
}

func TestOpen_AccessibleFileOfOtherUserFails(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change the owner of a file")
	}
	path := filepath.Join(t.TempDir(), "uploads.db")
	if err := open(t, path, nil).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, 0o660)
	_, err := boltstore.Open(path, &boltstore.Options{Quarantine: true})
	if err == nil || !strings.Contains(err.Error(), path+": belongs to another user and has mode 0660") {
		t.Errorf("error %v", err)
	}
	chmod(t, path, 0o600) // root may access it, but no other user
	open(t, path, nil)
}

// Open with a wrong path must not change the file of another program.
func TestOpen_OtherFileKeepsMode(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		for name, data := range map[string][]byte{
			"text": []byte("# hello\n"), "database": database(t, buckets(map[string]map[string]string{"theirs": {"a": "b"}})),
		} {
			path := filepath.Join(t.TempDir(), name)
			write(t, path, data)
			chmod(t, path, 0o644)
			if _, err := boltstore.Open(path, &opts); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
				t.Errorf("%s: mode is %v, %v", name, info.Mode(), err)
			}
		}
	})
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
