package tus_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// OnStart keeps the Uploader of each job, so that a program can pause one of many
// uploads and resume it later.
func ExampleBatchOptions_onStart() {
	_, client, stop := exampleServer(nil)
	defer stop()
	var mu sync.Mutex
	uploads := map[any]*tus.Uploader{} // by tag
	jobs := slices.Values([]tus.Job{
		{Source: tus.Bytes(make([]byte, 1000)), Tag: "first"},
		{Source: tus.Bytes(make([]byte, 1000)), Tag: "second"},
	})
	batch := client.UploadAll(context.Background(), jobs, &tus.BatchOptions{
		Concurrency: 1,
		OnStart: func(job tus.Job, u *tus.Uploader) {
			mu.Lock()
			uploads[job.Tag] = u
			mu.Unlock()
			if job.Tag == "first" {
				u.Pause() // from any goroutine, at any time
			}
		},
	})
	for result := range batch {
		fmt.Println(result.Job.Tag, errors.Is(result.Err, tus.ErrPaused))
	}
	result, err := uploads["first"].Run(context.Background())
	fmt.Println(result.Offset, err)
	// Output:
	// first true
	// second false
	// 1000 <nil>
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
