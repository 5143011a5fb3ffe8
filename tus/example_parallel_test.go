package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
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

// A stream is sent while it is read, here from a pipe.
func ExampleReader() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	reader, writer := io.Pipe() // or os.Stdin, or the output of a command
	go func() {
		for i := range 10_000 {
			fmt.Fprintln(writer, "line", i)
		}
		writer.Close()
	}()
	result, err := client.Upload(context.Background(), tus.Reader(reader), &tus.UploadOptions{ChunkSize: 64 << 10})
	switch {
	case errors.Is(err, tus.ErrNotRecoverable):
		log.Fatalf("the server lost data that the stream cannot repeat: %v", err)
	case err != nil:
		log.Fatalf("%v; the upload URL is %s", err, result.URL)
	}
	fmt.Println(result.Size, "bytes")
	// Output: 98890 bytes
}

// Resume continues the upload of a stream that failed. The new reader starts at the
// first byte; acknowledged bytes are skipped.
func ExampleReader_resume() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	dump := bytes.Repeat([]byte("row\n"), 1000)
	opts := &tus.UploadOptions{ChunkSize: 1000}
	broken := io.MultiReader(bytes.NewReader(dump[:2500]), brokenPipe{})
	result, err := client.Upload(ctx, tus.Reader(broken), opts)
	fmt.Println(result.Offset, "bytes, then a closed pipe:", errors.Is(err, io.ErrClosedPipe))

	result, err = client.Resume(ctx, result.URL, tus.Reader(bytes.NewReader(dump)), opts)
	fmt.Println(result.Size, "bytes,", result.Stats.Sent, "of them now:", err)
	// Output:
	// 2500 bytes, then a closed pipe: true
	// 4000 bytes, 1500 of them now: <nil>
}

type brokenPipe struct{}

func (brokenPipe) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// If the server does not support deferred lengths, a stream is read into memory first,
// up to BufferLimit.
func ExampleUploadOptions_bufferLimit() {
	server := httptest.NewServer(tustest.NewHandler(&tustest.Options{Extensions: []string{"creation"}}))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, limit := range []int64{10_000, 1_000_000} {
		stream := strings.NewReader(strings.Repeat("x", 50_000))
		result, err := client.Upload(context.Background(), tus.Reader(stream), &tus.UploadOptions{ChunkSize: 4000, BufferLimit: limit})
		fmt.Println(result.Offset, errors.Is(err, tus.ErrUnsupported))
	}
	// Output:
	// 0 true
	// 50000 false
}

// UploadAll uploads all files of a directory and yields one result for each.
func ExampleClient_UploadAll() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	dir, err := os.MkdirTemp("", "tus-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for i := range 20 {
		name := filepath.Join(dir, fmt.Sprintf("%02d.txt", i))
		if err := os.WriteFile(name, make([]byte, 100), 0o600); err != nil {
			log.Fatal(err)
		}
	}

	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{MaxConnections: 4})
	if err != nil {
		log.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		log.Fatal(err)
	}
	jobs := func(yield func(tus.Job) bool) { // called for the next job when an upload can start
		for _, entry := range entries {
			path := filepath.Join(dir, entry.Name())
			if !yield(tus.Job{Source: tus.File(path), Tag: path}) {
				return
			}
		}
		yield(tus.Job{Source: tus.File(filepath.Join(dir, "missing")), Tag: "missing"})
	}
	complete := 0
	for result := range client.UploadAll(context.Background(), jobs, nil) {
		if result.Err != nil {
			fmt.Println(filepath.Base(result.Job.Tag.(string)), "failed:", errors.Is(result.Err, os.ErrNotExist))
			continue
		}
		complete++
	}
	fmt.Println(complete, "files in", handler.Count("POST"), "requests")
	// Output:
	// missing failed: true
	// 20 files in 20 requests
}

// StopOnError ends a batch at the first failure.
func ExampleBatchOptions() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	jobs := func(yield func(tus.Job) bool) {
		for i, text := range []string{"a", "b", "", "d"} {
			job := tus.Job{Source: tus.Bytes([]byte(text)), Tag: i}
			if text == "" {
				job.Source = nil
			}
			if !yield(job) {
				return
			}
		}
	}
	for result := range client.UploadAll(context.Background(), jobs, &tus.BatchOptions{Concurrency: 1, StopOnError: true}) {
		fmt.Println(result.Job.Tag, result.Err)
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 2 invalid input: source is nil
}
