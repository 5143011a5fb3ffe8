package storagetest_test

import (
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/storage/storagetest"
)

// Call Run and RunDurable in a test of your store.
func Example() {
	_ = func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			store, err := filestore.Open(t.TempDir(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return store
		})
		storagetest.RunDurable(t, func(t *testing.T, dir string) storage.Store {
			store, err := filestore.Open(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			return store
		})
	}
}
