package boltstore_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

// A program may try to open a file again and again that another one has open for days.
func TestOpen_LockedLeavesNoGoroutine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	open(t, path, nil)
	before := runtime.NumGoroutine()
	for range 10 {
		_, err := boltstore.Open(path, &boltstore.Options{LockTimeout: time.Millisecond})
		if !errors.Is(err, storage.ErrLocked) {
			t.Fatal(err)
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines are left", after-before)
	}
}
