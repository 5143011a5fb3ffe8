package tustest_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// The connection breaks after seven bytes, and the client sends only the rest. In a
// test, NewServer replaces the first lines.
func Example() {
	// With a checksum, a chunk is stored completely or not at all.
	handler := tustest.NewHandler(&tustest.Options{Extensions: tustest.Without("checksum", "checksum-trailer")})
	server := httptest.NewServer(handler)
	defer server.Close()
	handler.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(7)})

	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.Upload(context.Background(), tus.Bytes([]byte("hello, world")), &tus.UploadOptions{
		CreationLimit: -1,
	})
	if err != nil {
		log.Fatal(err)
	}
	upload, _ := handler.Upload(result.URL)
	fmt.Printf("%s\n", upload.Data)
	for _, r := range handler.Requests() {
		if r.Method == "PATCH" {
			fmt.Println(r.Method, "at", r.Header.Get("Upload-Offset"), "status", r.Status)
		}
	}
	// Output:
	// hello, world
	// PATCH at 0 status 0
	// PATCH at 7 status 204
}

func ExampleFault() {
	handler := tustest.NewHandler(&tustest.Options{Extensions: tustest.Without("checksum", "checksum-trailer")})
	server := httptest.NewServer(handler)
	defer server.Close()
	handler.Inject(
		tustest.Fault{Method: "POST", Action: tustest.Respond(503, "starting")},       // the first creation
		tustest.Fault{Method: "PATCH", Skip: 1, Action: tustest.Respond(423, "busy")}, // the second PATCH
	)
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Upload(context.Background(), tus.Bytes(make([]byte, 20_000)), &tus.UploadOptions{ChunkSize: 10_000})
	for _, r := range handler.Requests() {
		fmt.Println(r.Method, r.Status)
	}
	fmt.Println(err)
	// Output:
	// OPTIONS 204
	// POST 503
	// POST 201
	// PATCH 204
	// PATCH 423
	// HEAD 200
	// PATCH 204
	// <nil>
}
