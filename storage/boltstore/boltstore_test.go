package boltstore_test

import (
	"path/filepath"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/storage/storagetest"
)

func open(t testing.TB, path string, opts *boltstore.Options) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// inBothModes runs the test without and with Options.Shared.
func inBothModes(t *testing.T, test func(t *testing.T, opts boltstore.Options)) {
	t.Run("exclusive", func(t *testing.T) { test(t, boltstore.Options{}) })
	t.Run("shared", func(t *testing.T) { test(t, boltstore.Options{Shared: true}) })
}

func TestStore_PassesStoreTests(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			return open(t, filepath.Join(t.TempDir(), "uploads.db"), &opts)
		})
		dir := t.TempDir()
		openNamed := func(t *testing.T, name string) storage.Store {
			return open(t, filepath.Join(dir, name), &opts)
		}
		storagetest.RunDurable(t, openNamed)
		if opts.Shared {
			storagetest.RunShared(t, openNamed)
		}
	})
}
