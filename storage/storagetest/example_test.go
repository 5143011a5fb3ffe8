package storagetest_test

import (
	"path/filepath"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/storage/storagetest"
)

// A store on disk that several processes share passes all three tests.
func Example() {
	_ = func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			store, err := filestore.Open(t.TempDir(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return store
		})
		dir := t.TempDir()
		open := func(t *testing.T, name string) storage.Store {
			store, err := filestore.Open(filepath.Join(dir, name), nil)
			if err != nil {
				t.Fatal(err)
			}
			return store
		}
		storagetest.RunDurable(t, open)
		storagetest.RunShared(t, open)
	}
}
