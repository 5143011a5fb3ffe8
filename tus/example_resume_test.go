package tus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// With a store, uploading the same source again goes on where an earlier session
// stopped. A program would use package boltstore, which keeps records on disk.
func ExampleOptions_store() {
	srv := httptest.NewServer(tustest.NewHandler(nil))
	defer srv.Close()
	store := &storage.Memory{}
	source := tus.Bytes(make([]byte, 1_000_000))

	session := func(opts tus.UploadOptions) {
		client, err := tus.NewClient(srv.URL+"/files/", &tus.Options{Store: store})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer client.CloseIdleConnections()
		opts.ChunkSize = 100_000
		result, err := client.Upload(context.Background(), source, &opts)
		if err != nil && !errors.Is(err, tus.ErrPaused) {
			fmt.Println(err)
			return
		}
		fmt.Println("from", result.Stats.ResumedFrom, "to", result.Offset)
	}
	session(tus.UploadOptions{StopAt: 300_000})
	session(tus.UploadOptions{})
	// Output:
	// from 0 to 300000
	// from 300000 to 1000000
}

// The stored uploads of a source can be looked at, and one of them chosen.
func ExampleClient_PreviousUploads() {
	srv := httptest.NewServer(tustest.NewHandler(nil))
	defer srv.Close()
	client, err := tus.NewClient(srv.URL+"/files/", &tus.Options{Store: &storage.Memory{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	source := tus.Bytes(make([]byte, 1_000_000))
	ctx := context.Background()
	_, err = client.Upload(ctx, source, &tus.UploadOptions{ChunkSize: 100_000, StopAt: 300_000})
	fmt.Println(err)

	previous, err := client.PreviousUploads(ctx, source, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(previous), "unfinished, of", previous[0].Size, "bytes")
	result, err := client.Upload(ctx, source, &tus.UploadOptions{Previous: &previous[0]})
	fmt.Println(result.Stats.ResumedFrom, err)
	// Output:
	// upload paused
	// 1 unfinished, of 1000000 bytes
	// 300000 <nil>
}
