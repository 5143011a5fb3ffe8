package tus_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// DirJobs uploads the files of a directory and those below it. A real directory is
// os.DirFS("photos").
func ExampleDirJobs() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	photos := fstest.MapFS{"cat.jpg": {Data: []byte("cat")}, "2026/dog.jpg": {Data: []byte("dog")}}

	for result, err := range client.UploadAll(context.Background(), tus.DirJobs(photos, nil), 1) {
		fmt.Println(result.Job.Tag, result.Size, err)
	}
	// Output:
	// 2026/dog.jpg 3 <nil>
	// cat.jpg 3 <nil>
}

// Filter selects files and directories, and Options sets the options of each file.
func ExampleDirOptions() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	photos := fstest.MapFS{"cat.jpg": {}, "cat.txt": {}, ".trash/old.jpg": {}, "2026/dog.jpg": {}}

	jobs := tus.DirJobs(photos, &tus.DirOptions{
		Filter: func(name string, d fs.DirEntry) bool {
			hidden := strings.HasPrefix(d.Name(), ".")
			return !hidden && (d.IsDir() || path.Ext(name) == ".jpg")
		},
		Options: func(name string, d fs.DirEntry) *tus.UploadOptions {
			return &tus.UploadOptions{Metadata: tus.Metadata{"filename": d.Name(), "album": path.Dir(name)}}
		},
	})
	for result, err := range client.UploadAll(context.Background(), jobs, 1) {
		fmt.Println(result.Job.Tag, result.Job.Options.Metadata["album"], err)
	}
	// Output:
	// 2026/dog.jpg 2026 <nil>
	// cat.jpg . <nil>
}

// FileJobs uploads files whose paths are known.
func ExampleFileJobs() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	movie, remove := exampleFile("movie.mp4", 1000)
	defer remove()

	for result, err := range client.UploadAll(context.Background(), tus.FileJobs(movie, "missing.mp4"), 1) {
		fmt.Println(path.Base(result.Job.Tag.(string)), result.Size, errors.Is(err, fs.ErrNotExist))
	}
	// Output:
	// movie.mp4 1000 false
	// missing.mp4 0 true
}

// A BatchCounter measures the progress of a batch. A program that shows it calls Progress
// for each tick of a timer.
func ExampleBatchCounter() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}

	var counter tus.BatchCounter
	counter.Expect(3, 600) // otherwise the total is unknown until the last job has started
	jobs := []tus.Job{{Source: tus.Bytes(make([]byte, 100))}, {Source: tus.Bytes(make([]byte, 200))}, {Source: tus.Bytes(make([]byte, 300))}}
	counted := counter.Jobs(slices.Values(jobs))
	fmt.Println("before:", counter.Progress().Total, "bytes")
	for _, err := range client.UploadAll(context.Background(), counted, 1) {
		if err != nil {
			log.Fatal(err)
		}
	}
	p := counter.Progress()
	fmt.Printf("after: %d of %d files, %d of %d bytes\n", p.Done, p.Files, p.Sent, p.Total)
	// Output:
	// before: 600 bytes
	// after: 3 of 3 files, 600 of 600 bytes
}
