package storage_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// A record is created before the first byte is sent, found in a later run, and deleted
// when the upload is complete.
func Example() {
	ctx := context.Background()
	store := new(storage.Memory)

	_, err := store.Put(ctx, storage.Record{
		ID: storage.NewID(), Fingerprint: "movie.mp4 at example.org",
		UploadURL: "https://example.org/files/1", Size: 1 << 30,
		Created: time.Now(), Updated: time.Now(),
	})
	if err != nil {
		log.Fatal(err)
	}

	found, err := store.Find(ctx, "movie.mp4 at example.org")
	if err != nil {
		log.Fatal(err)
	}
	for _, rec := range found {
		fmt.Println("resume at", rec.UploadURL)
		if err := store.Delete(ctx, rec.ID, rec.Revision); err != nil {
			log.Fatal(err)
		}
	}
	// Output: resume at https://example.org/files/1
}

// If several holders try to acquire the lease of one revision, one succeeds.
func ExampleStore_lease() {
	ctx := context.Background()
	store := new(storage.Memory)
	rec, err := store.Put(ctx, storage.Record{ID: storage.NewID(), Fingerprint: "key"})
	if err != nil {
		log.Fatal(err)
	}
	for _, holder := range []string{"first", "second"} {
		leased := rec
		leased.Lease = &storage.Lease{Holder: holder, Until: time.Now().Add(time.Minute)}
		_, err := store.Put(ctx, leased)
		fmt.Println(holder, "conflicts:", errors.Is(err, storage.ErrConflict))
	}
	// Output:
	// first conflicts: false
	// second conflicts: true
}

func ExampleDeleteExpired() {
	ctx := context.Background()
	store := new(storage.Memory)
	now := time.Now()
	for _, age := range []time.Duration{time.Hour, -time.Hour} {
		_, err := store.Put(ctx, storage.Record{ID: storage.NewID(), Fingerprint: "key", Expires: now.Add(age)})
		if err != nil {
			log.Fatal(err)
		}
	}
	n, err := storage.DeleteExpired(ctx, store, now)
	fmt.Println(n, err)
	// Output: 1 <nil>
}

// A custom store can encode records as the stores of this module do.
func ExampleEncode() {
	data, err := storage.Encode(storage.Record{ID: "a1", Revision: 1, Fingerprint: "key", Size: 5})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", data)
	rec, err := storage.Decode(data)
	fmt.Println(rec.ID, rec.Size, err)
	// Output:
	// {"version":1,"crc32c":"45a69a69","record":{"id":"a1","revision":1,"fingerprint":"key","size":5}}
	// a1 5 <nil>
}

// All iterates over all records, here to list the unfinished uploads.
func ExampleStore_all() {
	ctx := context.Background()
	store := new(storage.Memory)
	if _, err := store.Put(ctx, storage.Record{ID: storage.NewID(), Fingerprint: "key", UploadURL: "https://example.org/files/1", Size: 5}); err != nil {
		log.Fatal(err)
	}
	for rec, err := range store.All(ctx) {
		if err != nil { // this record cannot be read; the others follow
			log.Print(err)
			continue
		}
		fmt.Println(rec.UploadURL, rec.Size)
	}
	// Output: https://example.org/files/1 5
}
