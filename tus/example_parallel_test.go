package tus_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Parallel sends a file in four parts at once. The server concatenates the parts to one
// upload.
func ExampleUploadOptions_parallel() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	path, remove := exampleFile("disk.img", 20<<20)
	defer remove()

	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.UploadFile(context.Background(), path, &tus.UploadOptions{
		Parallel: 4,
		Metadata: tus.Metadata{"filename": "disk.img"},
	})
	if err != nil {
		log.Fatal(err)
	}
	info, err := client.Info(context.Background(), result.URL)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Concat, "upload of", info.Length, "bytes")
	// Output: final upload of 20971520 bytes
}

// If the server does not support concatenation, the source is sent as one upload,
// unless Required is set.
func ExampleParallelOptions_required() {
	server := httptest.NewServer(tustest.NewHandler(&tustest.Options{Extensions: []string{"creation"}}))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	source := tus.Bytes(make([]byte, 20_000))
	opts := &tus.UploadOptions{Parallel: 4, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}}
	result, err := client.Upload(context.Background(), source, opts)
	fmt.Println(result.Offset, err)

	opts.ParallelOptions.Required = true
	_, err = client.Upload(context.Background(), source, opts)
	fmt.Println(errors.Is(err, tus.ErrUnsupported))
	// Output:
	// 20000 <nil>
	// true
}

// PartBoundaries are the offsets at which parts begin. PartMetadata is stored with each
// part.
func ExampleParallelOptions() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.Upload(context.Background(), tus.Bytes([]byte("one two three")), &tus.UploadOptions{
		Parallel: 2,
		Metadata: tus.Metadata{"filename": "numbers.txt"},
		ParallelOptions: tus.ParallelOptions{
			PartBoundaries: []int64{4, 8},
			PartMetadata:   tus.Metadata{"piece": "yes"},
			TerminateParts: true,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	stored, _ := handler.Upload(result.URL)
	fmt.Printf("%s, %d POST, %d DELETE\n", stored.Data, handler.Count("POST"), handler.Count("DELETE"))
	// Output: one two three, 4 POST, 3 DELETE
}

// Concatenate makes one upload of parts that may come from different programs or
// machines.
func ExampleClient_Concatenate() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	var urls []string
	for _, piece := range []string{"first half, ", "second half"} {
		part, err := client.Create(ctx, tus.CreateOptions{Size: int64(len(piece)), Partial: true})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := client.Resume(ctx, part.URL, tus.Bytes([]byte(piece)), nil); err != nil {
			log.Fatal(err)
		}
		urls = append(urls, part.URL)
	}
	final, err := client.Concatenate(ctx, urls, tus.Metadata{"filename": "both.txt"})
	switch {
	case errors.Is(err, tus.ErrUnconfirmed): // the upload may exist: check before a retry
		log.Fatal(err)
	case err != nil:
		log.Fatal(err)
	}
	stored, _ := handler.Upload(final.URL)
	fmt.Printf("%s\n", stored.Data)
	// Output: first half, second half
}

// A backend creates an upload and passes its URL to the program that has the data.
func ExampleClient_Create() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	backend, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := backend.Create(ctx, tus.CreateOptions{Size: 5, Metadata: tus.Metadata{"filename": "hello.txt"}})
	if err != nil {
		log.Fatal(err)
	}

	sender, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := sender.Resume(ctx, created.URL, tus.Bytes([]byte("hello")), nil); err != nil {
		log.Fatal(err)
	}
	stored, _ := handler.Upload(created.URL)
	fmt.Printf("%s, %d POST\n", stored.Data, handler.Count("POST"))
	// Output: hello, 1 POST
}

// DeferLength creates an upload of unknown size.
func ExampleClient_Create_deferred() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := client.Create(ctx, tus.CreateOptions{DeferLength: true, Metadata: tus.Metadata{"filename": "talk.ogg"}})
	if err != nil {
		log.Fatal(err)
	}
	info, err := client.Info(ctx, created.URL)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("length deferred:", info.LengthDeferred)

	recording := strings.NewReader(strings.Repeat("la ", 1000)) // of unknown size
	result, err := client.Resume(ctx, created.URL, tus.Reader(recording), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Size, "bytes")
	// Output:
	// length deferred: true
	// 3000 bytes
}
