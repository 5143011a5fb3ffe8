package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

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
