package tus_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Step drives an upload one transition at a time. The program may wait or do other work
// between two steps.
func ExampleUploader_Step() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	uploader, err := client.NewUploader(tus.Bytes(make([]byte, 25_000)), &tus.UploadOptions{ChunkSize: 10_000})
	if err != nil {
		log.Fatal(err)
	}
	for !uploader.State().Final() {
		if err := uploader.Step(context.Background()); err != nil && !tus.IsRetryable(err) {
			log.Fatal(err)
		}
		fmt.Println(uploader.State(), uploader.Offset())
	}
	// Output:
	// creating 0
	// ready 0
	// sending 0
	// ready 10000
	// sending 10000
	// ready 20000
	// sending 20000
	// ready 25000
	// finishing 25000
	// complete 25000
}

// Pause, here called by a hook, makes Run return early. The next Run resumes the upload.
func ExampleUploader_Pause() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	var uploader *tus.Uploader
	var once bool
	uploader, err = client.NewUploader(tus.Bytes(make([]byte, 25_000)), &tus.UploadOptions{
		ChunkSize: 10_000,
		Hooks: tus.Hooks{OnProgress: func(_ *tus.Uploader, p tus.Progress) {
			if p.Acknowledged >= 20_000 && !once {
				once = true
				uploader.Pause()
			}
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = uploader.Run(context.Background())
	fmt.Println(errors.Is(err, tus.ErrPaused), uploader.State(), uploader.Offset())

	_, err = uploader.Run(context.Background())
	fmt.Println(err, uploader.State(), uploader.Offset())
	// Output:
	// true paused 20000
	// <nil> complete 25000
}

// StopAt pauses an upload at an offset.
func ExampleUploadOptions_stopAt() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	uploader, err := client.NewUploader(tus.Bytes(make([]byte, 25_000)), &tus.UploadOptions{StopAt: 12_345})
	if err != nil {
		log.Fatal(err)
	}
	for errors.Is(uploader.Step(context.Background()), tus.ErrPaused) || !uploader.State().Final() {
		if uploader.State() == tus.StatePaused {
			fmt.Println("paused at", uploader.Offset())
		}
	}
	fmt.Println(uploader.State(), "at", uploader.Offset())
	// Output:
	// paused at 12345
	// complete at 25000
}

func ExampleUploader_Abort() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	uploader, err := client.NewUploader(tus.Bytes(make([]byte, 25_000)), &tus.UploadOptions{StopAt: 10_000})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := uploader.Run(context.Background()); !errors.Is(err, tus.ErrPaused) {
		log.Fatal(err)
	}
	if err := uploader.Abort(context.Background()); err != nil {
		log.Fatal(err)
	}
	_, err = client.Info(context.Background(), uploader.URL())
	fmt.Println(uploader.State(), errors.Is(err, tus.ErrUploadGone))
	// Output: aborted true
}
