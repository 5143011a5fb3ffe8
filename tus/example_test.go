package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// exampleFile creates a file of zeros to upload.
func exampleFile(name string, size int) (path string, remove func()) {
	dir, err := os.MkdirTemp("", "tus-example")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		log.Fatal(err)
	}
	return path, func() { os.RemoveAll(dir) }
}

func ExampleClient_UploadFile() {
	server := httptest.NewServer(tustest.NewHandler(nil)) // stands for a real server
	defer server.Close()
	path, remove := exampleFile("movie.mp4", 20_000_000)
	defer remove()

	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.UploadFile(context.Background(), path, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.TrimPrefix(result.URL, server.URL), "has", result.Offset, "bytes")
	// Output: /files/00000001 has 20000000 bytes
}

func ExampleClient_Upload() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()

	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.Upload(context.Background(), tus.Bytes([]byte("hello, world")), &tus.UploadOptions{
		Metadata: tus.Metadata{"filename": "hello.txt", "filetype": "text/plain"},
	})
	if err != nil {
		log.Fatal(err)
	}
	stored, _ := handler.Upload(result.URL)
	fmt.Printf("%s\n%v\n", stored.Data, result.Stats.Requests)
	// Output:
	// hello, world
	// map[OPTIONS:1 PATCH:1 POST:1]
}

// Upload takes any source.
func ExampleSource() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	path, remove := exampleFile("data.bin", 3000)
	defer remove()
	opened, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer opened.Close()
	archive := fstest.MapFS{"docs/readme.txt": {Data: []byte("read me")}} // or embed.FS, zip.Reader, os.Root.FS()

	for _, source := range []tus.Source{
		tus.File(path),
		tus.OpenedFile(opened),
		tus.FSFile(archive, "docs/readme.txt"),
		tus.ReaderAt(strings.NewReader("any io.ReaderAt"), 15),
		tus.ReadSeeker(strings.NewReader("any io.ReadSeeker"), 17),
		tus.Bytes([]byte("memory")),
	} {
		result, err := client.Upload(context.Background(), source, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Size)
	}
	// Output:
	// 3000
	// 3000
	// 7
	// 15
	// 17
	// 6
}

func ExampleOpenedFile() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}

	report, err := os.CreateTemp("", "report")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(report.Name())
	defer report.Close()
	fmt.Fprint(report, "all is well")

	// The whole file is uploaded, whatever its current offset is.
	result, err := client.Upload(context.Background(), tus.OpenedFile(report), nil)
	if err != nil {
		log.Fatal(err)
	}
	stored, _ := handler.Upload(result.URL)
	fmt.Printf("%s\n", stored.Data)
	// Output: all is well
}

func ExampleReaderAt() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}

	disk := bytes.NewReader([]byte("first part|second part"))
	result, err := client.Upload(context.Background(), tus.ReaderAt(disk, 10), nil) // only the first 10 bytes
	if err != nil {
		log.Fatal(err)
	}
	stored, _ := handler.Upload(result.URL)
	fmt.Printf("%s\n", stored.Data)
	// Output: first part
}

// Resume continues an upload at the offset of the server. The URL may also come from a
// backend or another program.
func ExampleClient_Resume() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	path, remove := exampleFile("movie.mp4", 20_000_000)
	defer remove()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	first, err := client.UploadFile(context.Background(), path, &tus.UploadOptions{StopAt: 15_000_000})
	fmt.Println(err)

	result, err := client.Resume(context.Background(), first.URL, tus.File(path), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("resumed from", result.Stats.ResumedFrom, "and sent", result.Stats.Sent)
	// Output:
	// upload paused
	// resumed from 15000000 and sent 5000000
}

func ExampleError() {
	handler := tustest.NewHandler(nil)
	handler.Inject(tustest.Fault{Method: "PATCH", From: 10_000, Action: tustest.Respond(403, "quota exceeded")})
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Upload(context.Background(), tus.Bytes(make([]byte, 30_000)), &tus.UploadOptions{ChunkSize: 10_000})

	var failed *tus.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Method, "at offset", failed.Offset, "failed with", failed.StatusCode, failed.Message)
	}
	fmt.Println("not authorized:", errors.Is(err, tus.ErrUnauthorized))
	// Output:
	// PATCH at offset 10000 failed with 403 quota exceeded
	// not authorized: true
}

func ExampleIsRetryable() {
	for _, status := range []int{400, 403, 404, 423, 500, 503} {
		fmt.Println(status, tus.IsRetryable(&tus.Error{StatusCode: status}))
	}
	// Output:
	// 400 false
	// 403 false
	// 404 false
	// 423 true
	// 500 true
	// 503 true
}

func ExampleMetadata() {
	m := tus.Metadata{"filename": "Ärger.txt", "filetype": "text/plain", "private": ""}
	fmt.Println(m.Validate())

	err := tus.Metadata{"two words": "x"}.Validate()
	fmt.Println(errors.Is(err, tus.ErrInvalidInput))
	// Output:
	// <nil>
	// true
}

func ExampleRetryPolicy() {
	handler := tustest.NewHandler(nil)
	handler.Inject(tustest.Fault{Method: "PATCH", Times: 3, Action: tustest.Respond(403, "token not known yet")})
	server := httptest.NewServer(handler)
	defer server.Close()

	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{Retry: tus.RetryPolicy{
		MaxRetries: 20,
		Delay:      func(int) time.Duration { return time.Millisecond },
		ShouldRetry: func(err error, attempt int) bool {
			// This server may need a moment until it accepts a new token.
			return tus.IsRetryable(err) || errors.Is(err, tus.ErrUnauthorized) && attempt <= 5
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 20_000)), &tus.UploadOptions{ChunkSize: 10_000})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("done after", result.Stats.Retries, "retries")
	// Output: done after 3 retries
}

// Stats counts the bytes, requests and retries of an upload.
func ExampleStats() {
	handler := tustest.NewHandler(nil)
	handler.Inject(tustest.Fault{Method: "PATCH", From: 10_000, Action: tustest.LoseResponse()})
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 20_000)), &tus.UploadOptions{ChunkSize: 10_000})
	if err != nil {
		log.Fatal(err)
	}
	s := result.Stats
	fmt.Println(s.Uploaded, "bytes in", s.Requests["PATCH"], "PATCH;", s.Resent, "resent,", s.Retries, "retry")
	// Output: 20000 bytes in 2 PATCH; 0 resent, 1 retry
}
