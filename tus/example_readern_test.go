package tus_test

import (
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

// A stream of known size needs no deferred length of the server. Its size is checked.
func ExampleReaderN() {
	handler := tustest.NewHandler(&tustest.Options{Extensions: tustest.Without("creation-defer-length")})
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	opts := &tus.UploadOptions{ChunkSize: 1000}
	body := strings.NewReader(strings.Repeat("row\n", 1000)) // or the body of a request
	result, err := client.Upload(context.Background(), tus.ReaderN(body, 4000), opts)
	fmt.Println(result.Offset, err)

	truncated := strings.NewReader(strings.Repeat("row\n", 625))
	result, err = client.Upload(context.Background(), tus.ReaderN(truncated, 4000), opts)
	fmt.Println(result.Offset, errors.Is(err, tus.ErrSourceMismatch), errors.Is(err, io.ErrUnexpectedEOF))
	fmt.Println(err)
	// Output:
	// 4000 <nil>
	// 2000 true true
	// source has another size than the upload: reader has 2500 bytes, the upload 4000: unexpected EOF
}

// remoteObject is a file of a storage backend, as in programs for many backends.
type remoteObject struct {
	client *tus.Client
	name   string
	url    string
}

// Update replaces the object with size bytes of in; a negative size is unknown.
func (o *remoteObject) Update(ctx context.Context, in io.Reader, size int64) error {
	source := tus.ReaderN(in, size)
	if size < 0 {
		source = tus.Reader(in)
	}
	result, err := o.client.Upload(ctx, source, &tus.UploadOptions{
		Metadata: tus.Metadata{"filename": o.name},
	})
	if err != nil {
		return fmt.Errorf("update %s: %w", o.name, err)
	}
	o.url = result.URL
	return nil
}

// A backend method with a reader and a size, here to a server without deferred lengths.
func ExampleReaderN_backend() {
	handler := tustest.NewHandler(&tustest.Options{Extensions: tustest.Without("creation-defer-length")})
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	object := &remoteObject{client: client, name: "movie.mp4"}
	const size = 20_000_000
	fmt.Println(object.Update(context.Background(), io.LimitReader(zeros{}, size), size))
	upload, _ := handler.Upload(object.url)
	fmt.Println(len(upload.Data), upload.Complete())
	// Output:
	// <nil>
	// 20000000 true
}
