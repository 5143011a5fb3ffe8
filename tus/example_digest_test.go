package tus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

func ExampleUploadOptions_digest() {
	_, client, stop := exampleServer(nil)
	defer stop()
	result, err := client.Upload(context.Background(), tus.Bytes([]byte("hello")), &tus.UploadOptions{Digest: "sha256"})
	if err != nil {
		panic(err)
	}
	fmt.Println(result.Digest)
	// Output: sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
}

// A file changes between two sessions, and its size and time are those of before. The second
// session compares it with the digest of what the first one sent.
func ExampleUploadOptions_digestAcrossSessions() {
	path := filepath.Join(os.TempDir(), "tus-go-example-digest.bin")
	defer os.Remove(path)
	write := func(text string) {
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, time.Time{}, time.Unix(1e9, 0))); err != nil {
			panic(err)
		}
	}
	// Stat finds the record by the name, size and time of the file.
	_, client, stop := exampleServer(&tus.Options{Store: new(storage.Memory), Fingerprinter: fingerprint.Stat{}})
	defer stop()
	ctx, opts := context.Background(), &tus.UploadOptions{Digest: "sha256", ChunkSize: 4}

	write("first version")
	first := *opts
	first.StopAt = 8
	_, err := client.UploadFile(ctx, path, &first)
	fmt.Println(err)

	write("other version")
	_, err = client.UploadFile(ctx, path, opts)
	fmt.Println(errors.Is(err, tus.ErrSourceChanged))

	result, err := client.UploadFile(ctx, path, opts)
	if err != nil {
		panic(err)
	}
	fmt.Println(result.Digest)
	// Output:
	// upload paused
	// true
	// sha256:e2eb5819d249f80a4a944556e67f65ed5c35ff5fa9284c70939ec0e52e45436b
}
