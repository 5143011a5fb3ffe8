package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/filestore"
)

// Two stores of the same directory, as in two processes, see each other's records,
// and only one of them can change a revision.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	here, err := filestore.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	there, err := filestore.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = here.Put(ctx, storage.Record{
		ID: storage.NewID(), Fingerprint: "movie.mp4 at example.org",
		UploadURL: "https://example.org/files/1", Size: 1 << 30,
	})
	if err != nil {
		log.Fatal(err)
	}
	found, err := there.Find(ctx, "movie.mp4 at example.org")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found[0].UploadURL)

	_, err = here.Put(ctx, found[0])
	fmt.Println("first conflicts:", errors.Is(err, storage.ErrConflict))
	_, err = there.Put(ctx, found[0])
	fmt.Println("second conflicts:", errors.Is(err, storage.ErrConflict))
	// Output:
	// https://example.org/files/1
	// first conflicts: false
	// second conflicts: true
}
