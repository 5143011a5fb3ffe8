package tus_test

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

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

func ExampleHooks() {
	handler := tustest.NewHandler(nil)
	handler.Inject(tustest.Fault{Method: "PATCH", From: 10_000, Action: tustest.Respond(503, "try again")})
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{Hooks: tus.Hooks{
		OnCreated: func(_ *tus.Uploader, c *tus.Created) {
			fmt.Println("created", strings.TrimPrefix(c.URL, server.URL))
		},
		OnProgress: func(_ *tus.Uploader, p tus.Progress) {
			if p.InFlight == 0 {
				fmt.Println(p.Acknowledged, "of", p.Size)
			}
		},
		OnRetry: func(_ *tus.Uploader, r tus.Retry) {
			var failed *tus.Error
			if errors.As(r.Err, &failed) {
				fmt.Println("retry", r.Attempt, "in", r.Delay, "after", failed.Method, failed.StatusCode)
			}
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 20_000)), &tus.UploadOptions{ChunkSize: 10_000}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// created /files/00000001
	// 0 of 20000
	// 10000 of 20000
	// retry 1 in 0s after PATCH 503
	// 10000 of 20000
	// 20000 of 20000
}

// BeforeRequest sets the headers of each attempt of each request, here a token that
// expires.
func ExampleHooks_beforeRequest() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()

	tokens := 0
	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{Hooks: tus.Hooks{
		BeforeRequest: func(r *http.Request) error {
			tokens++
			r.Header.Set("Authorization", fmt.Sprintf("Bearer token-%d", tokens))
			return nil
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 20_000)), &tus.UploadOptions{ChunkSize: 10_000}); err != nil {
		log.Fatal(err)
	}
	for _, r := range handler.Requests() {
		fmt.Println(r.Method, r.Header.Get("Authorization"))
	}
	// Output:
	// OPTIONS Bearer token-1
	// POST Bearer token-2
	// PATCH Bearer token-3
	// PATCH Bearer token-4
}

func ExampleOptions_requestIDHeader() {
	handler := tustest.NewHandler(nil)
	handler.Inject(tustest.Fault{Method: "POST", Action: tustest.Respond(403, "quota exceeded")})
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{RequestIDHeader: "X-Request-ID"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Upload(context.Background(), tus.Bytes([]byte("data")), nil)

	var failed *tus.Error
	if errors.As(err, &failed) {
		received := handler.Requests()[len(handler.Requests())-1]
		fmt.Println("the server's log has the ID:", received.Header.Get("X-Request-ID") == failed.RequestID)
	}
	// Output:
	// the server's log has the ID: true
}
