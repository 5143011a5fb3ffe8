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

// A file over four connections at once. The server makes one upload of the parts.
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

// Not every server can concatenate. The source is then sent as one upload, unless parts
// are required.
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

// The caller decides where the parts begin, and what is stored with each of them.
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

// The parts of a file may be sent by different programs, on different machines.
// Only their URLs have to come together.
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
	whole, err := client.Concatenate(ctx, urls, tus.Metadata{"filename": "whole.txt"})
	switch {
	case errors.Is(err, tus.ErrUnconfirmed): // perhaps it was made: look before trying again
		log.Fatal(err)
	case err != nil:
		log.Fatal(err)
	}
	stored, _ := handler.Upload(whole.URL)
	fmt.Printf("%s\n", stored.Data)
	// Output: first half, second half
}

// A backend creates an upload and gives its URL to the program that has the data.
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

// The size of the upload is not known when it is created.
func ExampleClient_Create_deferred() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	made, err := client.Create(ctx, tus.CreateOptions{DeferLength: true, Metadata: tus.Metadata{"filename": "talk.ogg"}})
	if err != nil {
		log.Fatal(err)
	}
	info, err := client.Info(ctx, made.URL)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("length deferred:", info.LengthDeferred)

	recording := strings.NewReader(strings.Repeat("la ", 1000)) // of unknown length
	result, err := client.Resume(ctx, made.URL, tus.Reader(recording), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Size, "bytes")
	// Output:
	// length deferred: true
	// 3000 bytes
}

// What comes out of a pipe is sent as it comes.
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
		log.Fatalf("the server went back, and a stream cannot: %v", err)
	case err != nil:
		log.Fatalf("%v; what was sent is at %s", err, result.URL)
	}
	fmt.Println(result.Size, "bytes")
	// Output: 98890 bytes
}

// A stream that failed goes on from where the server is, if it can be made again.
func ExampleReader_again() {
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

// Where the server must know the length first, a stream is held in memory, up to a
// limit.
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

// All files of a folder, with whatever became of each.
func ExampleClient_UploadAll() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	folder, err := os.MkdirTemp("", "tus-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	for i := range 20 {
		name := filepath.Join(folder, fmt.Sprintf("%02d.txt", i))
		if err := os.WriteFile(name, make([]byte, 100), 0o600); err != nil {
			log.Fatal(err)
		}
	}

	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{MaxConnections: 4})
	if err != nil {
		log.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		log.Fatal(err)
	}
	jobs := func(yield func(tus.Job) bool) { // asked for the next one when there is room
		for _, entry := range entries {
			path := filepath.Join(folder, entry.Name())
			if !yield(tus.Job{Source: tus.File(path), Tag: path}) {
				return
			}
		}
		yield(tus.Job{Source: tus.File(filepath.Join(folder, "missing")), Tag: "missing"})
	}
	complete := 0
	for result, err := range client.UploadAll(context.Background(), jobs, 0) {
		if err != nil {
			fmt.Println(filepath.Base(result.Job.Tag.(string)), "failed:", errors.Is(err, os.ErrNotExist))
			continue
		}
		complete++
	}
	fmt.Println(complete, "files in", handler.Count("POST"), "requests")
	// Output:
	// missing failed: true
	// 20 files in 20 requests
}

// A batch that ends with the first failure.
func ExampleClient_UploadAll_stop() {
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
	for result, err := range client.UploadAll(context.Background(), jobs, 1) {
		fmt.Println(result.Job.Tag, err)
		if err != nil {
			break // pauses the jobs that run
		}
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 2 invalid input: source is nil
}
