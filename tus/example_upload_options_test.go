package tus_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// A backend uploads for several users with one client, each with a token. The token also
// selects the uploads of the user, so it needs a resume key of its own.
func ExampleUploadOptions_header() {
	h, client, stop := exampleServer(&tus.Options{Header: http.Header{"X-Backend": {"seven"}}, Capabilities: &tus.Capabilities{}})
	defer stop()
	for _, user := range []string{"alice", "bob"} {
		_, err := client.Upload(context.Background(), tus.Bytes([]byte("report")), &tus.UploadOptions{
			Header:    http.Header{"Authorization": {"Bearer token-of-" + user}},
			ResumeKey: user + "/report.pdf",
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	for _, r := range h.Requests() {
		fmt.Println(r.Method, r.Header.Get("X-Backend"), r.Header.Get("Authorization"))
	}
	// Output:
	// POST seven Bearer token-of-alice
	// PATCH seven Bearer token-of-alice
	// POST seven Bearer token-of-bob
	// PATCH seven Bearer token-of-bob
}

// A file that never changes after it was written need not be read to find its upload.
func ExampleUploadOptions_fingerprinter() {
	_, client, stop := exampleServer(&tus.Options{Store: new(storage.Memory)})
	defer stop()
	for _, stopAt := range []int64{500, 0} { // the first upload is interrupted
		result, err := client.Upload(context.Background(), tus.File("doc.go"), &tus.UploadOptions{
			Fingerprinter: fingerprint.Stat{},
			StopAt:        stopAt,
		})
		fmt.Println("resumed from", result.Stats.ResumedFrom, err)
	}
	// Output:
	// resumed from 0 upload paused
	// resumed from 500 <nil>
}

// WithInfo names bytes that another system keeps, and says which version of them they are.
func ExampleWithInfo() {
	h, client, stop := exampleServer(&tus.Options{Store: new(storage.Memory)})
	defer stop()
	backup := strings.NewReader(strings.Repeat("block ", 1000))
	source := tus.WithInfo(tus.ReaderAt(backup, backup.Size()), tus.SourceInfo{
		Name:     "disk.img",
		Identity: "volume 7",
		Version:  "snapshot 4711",
	})
	result, err := client.Upload(context.Background(), source, nil)
	if err != nil {
		log.Fatal(err)
	}
	up, _ := h.Upload(result.URL)
	fmt.Println(tus.ParseMetadata(up.Metadata)["filename"])
	// Output: disk.img
}

// OnCreated and OnResumed together report every upload URL.
func ExampleHooks_onResumed() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{
		Store: new(storage.Memory),
		Hooks: tus.Hooks{
			OnCreated: func(_ *tus.Uploader, c *tus.Created) {
				fmt.Println("created", strings.TrimPrefix(c.URL, server.URL))
			},
			OnResumed: func(_ *tus.Uploader, r tus.Resumed) {
				fmt.Println("resumed", strings.TrimPrefix(r.URL, server.URL), "from", r.Offset)
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	for _, stopAt := range []int64{500, 0} { // the first upload is interrupted
		_, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 1000)), &tus.UploadOptions{StopAt: stopAt})
		fmt.Println(err)
	}
	// Output:
	// created /files/00000001
	// upload paused
	// resumed /files/00000001 from 500
	// <nil>
}

func ExampleProgress_Remaining() {
	p := tus.Progress{Acknowledged: 60_000_000, InFlight: 20_000_000, Size: 100_000_000, Rate: 4_000_000}
	sent := p.Acknowledged + p.InFlight
	fmt.Printf("%d %%, %d MB/s, %v left\n", sent*100/p.Size, p.Rate/1e6, p.Remaining().Round(time.Second))
	// Output: 80 %, 4 MB/s, 5s left
}
