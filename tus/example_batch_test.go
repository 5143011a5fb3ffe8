package tus_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

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

// Leaving the loop ends a batch at the first failure.
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
			break // pauses the running jobs
		}
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 2 invalid input: source is nil
}
