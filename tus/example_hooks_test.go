package tus_test

import (
	"context"
	"fmt"
	"hash"
	"hash/crc32"
	"net/http"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// AfterResponse sees the headers of each response, also those that are not part of
// the protocol.
func ExampleHooks_afterResponse() {
	hooks := tus.Hooks{AfterResponse: func(req *http.Request, resp *tus.Response) {
		fmt.Printf("%s %d %q\n", req.Method, resp.StatusCode, resp.Header.Get("Upload-Offset"))
	}}
	_, client, stop := exampleServer(&tus.Options{Hooks: hooks, Checksums: []checksum.Algorithm{}})
	defer stop()
	_, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 1000)), &tus.UploadOptions{ChunkSize: 500})
	fmt.Println(err)
	// Output:
	// POST 201 ""
	// PATCH 204 "500"
	// PATCH 204 "1000"
	// <nil>
}

// OnStateChange reports the states of an upload, here of one whose connection breaks once.
func ExampleHooks_onStateChange() {
	hooks := tus.Hooks{OnStateChange: func(_ *tus.Uploader, from, to tus.State, err error) {
		fmt.Printf("%v -> %v (failure: %v)\n", from, to, err != nil)
	}}
	h, client, stop := exampleServer(&tus.Options{Hooks: hooks})
	defer stop()
	h.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(300)})
	_, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 1000)), &tus.UploadOptions{ChunkSize: 1000, CreationLimit: -1})
	fmt.Println(err)
	// Output:
	// idle -> creating (failure: false)
	// creating -> ready (failure: false)
	// ready -> sending (failure: false)
	// sending -> recovering (failure: true)
	// recovering -> ready (failure: false)
	// ready -> sending (failure: false)
	// sending -> ready (failure: false)
	// ready -> finishing (failure: false)
	// finishing -> complete (failure: false)
	// <nil>
}

// By default, the client uses the first algorithm of Checksums that the server advertises.
func ExampleOptions_checksums() {
	cheap := []checksum.Algorithm{{Name: "crc32", New: func() hash.Hash { return crc32.NewIEEE() }}}
	_, client, stop := exampleServer(&tus.Options{Checksums: cheap})
	defer stop()
	result, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 1000)), nil)
	fmt.Println(result.Checksum, err)
	// Output: crc32 <nil>
}
