package tus_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing/fstest"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// An archive is uploaded while it is made. Only a successful Close means that the upload
// is complete; if the archive fails, CloseWithError deletes what was uploaded.
func ExampleClient_NewWriter() {
	handler, client, stop := exampleServer(nil)
	defer stop()
	files := fstest.MapFS{"notes.txt": {Data: []byte("one\ntwo\n")}}
	ctx := context.Background()

	w := client.NewWriter(ctx, &tus.UploadOptions{Metadata: tus.Metadata{"filename": "backup.tar.gz"}})
	compressed := gzip.NewWriter(w)
	archive := tar.NewWriter(compressed)
	err := archive.AddFS(files)
	if err = errors.Join(err, archive.Close(), compressed.Close()); err != nil {
		w.CloseWithError(err)
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatalf("%v; the upload URL is %s", err, w.Result().URL)
	}
	upload, _ := handler.Upload(w.Result().URL)
	fmt.Println(upload.Complete(), int64(len(upload.Data)) == w.Result().Size)
	// Output: true true
}

// With a Size, the server does not have to support a deferred length.
func ExampleWriter_size() {
	server := httptest.NewServer(tustest.NewHandler(&tustest.Options{Extensions: tustest.Without("creation-defer-length")}))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	w := client.NewWriter(context.Background(), &tus.UploadOptions{ChunkSize: 1000})
	w.Size = 5000
	_, err = io.Copy(w, strings.NewReader(strings.Repeat("line\n", 1000))) // or from another response
	fmt.Println(err, w.Close(), w.Result().Offset)
	// Output: <nil> <nil> 5000
}

func ExampleWriter_CloseWithError() {
	handler, client, stop := exampleServer(nil)
	defer stop()
	w := client.NewWriter(context.Background(), &tus.UploadOptions{ChunkSize: 1000})
	_, err := io.Copy(w, io.MultiReader(strings.NewReader(strings.Repeat("row\n", 2500)), brokenPipe{}))
	fmt.Println(err)
	fmt.Println(w.CloseWithError(err)) // nil if the upload is deleted
	fmt.Println(w.Close())             // still the first error
	fmt.Println(handler.Uploads()[0].Terminated)
	// Output:
	// io: read/write on closed pipe
	// <nil>
	// io: read/write on closed pipe
	// true
}
