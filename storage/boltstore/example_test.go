package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

// A record outlives the process that stored it.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "uploads.db")
	ctx := context.Background()

	store, err := boltstore.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = store.Put(ctx, storage.Record{
		ID: storage.NewID(), Fingerprint: "movie.mp4 at example.org",
		UploadURL: "https://example.org/files/1", Size: 1 << 30,
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	store, err = boltstore.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	found, err := store.Find(ctx, "movie.mp4 at example.org")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found[0].UploadURL)
	// Output: https://example.org/files/1
}

func ExampleOpen_locked() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "uploads.db")

	store, err := boltstore.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	_, err = boltstore.Open(path, &boltstore.Options{LockTimeout: -1})
	fmt.Println(errors.Is(err, storage.ErrLocked))
	// Output: true
}

// Several processes open the file with Shared. Here two stores of one process do.
func ExampleOptions_shared() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "uploads.db")
	ctx := context.Background()

	first, err := boltstore.Open(path, &boltstore.Options{Shared: true})
	if err != nil {
		log.Fatal(err)
	}
	defer first.Close()
	second, err := boltstore.Open(path, &boltstore.Options{Shared: true})
	if err != nil {
		log.Fatal(err)
	}
	defer second.Close()

	rec := storage.Record{ID: storage.NewID(), Fingerprint: "movie.mp4", Size: 1 << 30}
	rec, err = first.Put(ctx, rec)
	if err != nil {
		log.Fatal(err)
	}
	found, err := second.Find(ctx, "movie.mp4")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("found:", len(found))

	_, err = second.Put(ctx, found[0])
	fmt.Println("updated:", err == nil)
	_, err = first.Put(ctx, rec) // the old revision
	fmt.Println("conflict:", errors.Is(err, storage.ErrConflict))
	// Output:
	// found: 1
	// updated: true
	// conflict: true
}

// With Quarantine, a program can start with a corrupt file.
func ExampleOptions_quarantine() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "uploads.db")
	if err := os.WriteFile(path, []byte("not a database"), 0o600); err != nil {
		log.Fatal(err)
	}

	_, err = boltstore.Open(path, nil)
	fmt.Println("corrupt:", errors.Is(err, storage.ErrCorrupt))

	store, err := boltstore.Open(path, &boltstore.Options{Quarantine: true, OnWarning: func(err error) {
		var renamed *storage.Error
		fmt.Println("in quarantine:", errors.As(err, &renamed) && renamed.Path != path)
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	// Output:
	// corrupt: true
	// in quarantine: true
}
