package tus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"path"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// With a store, a second upload of the same source resumes the first. A program would
// use package boltstore, which keeps records on disk.
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

// With RememberCompleted, a source that was uploaded is not uploaded again, unless Again is
// set.
func ExampleOptions_rememberCompleted() {
	h := tustest.NewHandler(nil)
	srv := httptest.NewServer(h)
	defer srv.Close()
	client, err := tus.NewClient(srv.URL+"/files/", &tus.Options{Store: &storage.Memory{}, RememberCompleted: 30 * 24 * time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	for _, again := range []bool{false, false, true} {
		result, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 1000)), &tus.UploadOptions{Again: again})
		fmt.Println(result.AlreadyComplete, result.Offset, err)
	}
	fmt.Println(len(h.Uploads()), "uploads")
	// Output:
	// false 1000 <nil>
	// true 1000 <nil>
	// false 1000 <nil>
	// 2 uploads
}

// PreviousUploads lists the stored uploads of a source. Previous chooses the one to
// resume.
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

// object implements Source: data with a key, as in an object store.
type object struct{ key, etag, data string }

func (o object) Stat(context.Context) (tus.SourceInfo, error) {
	return tus.SourceInfo{Name: path.Base(o.key), Identity: o.key, Size: int64(len(o.data)), Version: o.etag}, nil
}

func (o object) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(o.data[offset:])), nil
}

// A fingerprint that reads no data, as that of fingerprint.Stat, relies on the Identity
// of the source.
func ExampleSourceInfo() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{Store: &storage.Memory{}, Fingerprinter: fingerprint.Stat{}})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	spring := object{key: "spring/photo.jpg", etag: "v1", data: "tulips"}
	autumn := object{key: "autumn/photo.jpg", etag: "v1", data: "leaves"}

	// The first session ends in the middle.
	_, err = client.Upload(ctx, spring, &tus.UploadOptions{StopAt: 3})
	fmt.Println(err)
	for _, source := range []object{autumn, spring} {
		result, err := client.Upload(ctx, source, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(source.key, "starts at byte", result.Stats.ResumedFrom)
	}
	// Output:
	// upload paused
	// autumn/photo.jpg starts at byte 0
	// spring/photo.jpg starts at byte 3
}

// Refused starts over if the server refuses to show a stored upload. By default the upload
// fails, as the server may show it again later.
func ExampleUploadOptions_refused() {
	h := tustest.NewHandler(nil)
	srv := httptest.NewServer(h)
	defer srv.Close()
	client, err := tus.NewClient(srv.URL+"/files/", &tus.Options{Store: &storage.Memory{}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	source := tus.Bytes(make([]byte, 1_000_000))
	ctx := context.Background()
	_, err = client.Upload(ctx, source, &tus.UploadOptions{StopAt: 300_000})
	fmt.Println(err)

	h.Inject(tustest.Fault{Method: "HEAD", Times: -1, Action: tustest.Respond(400, "")})
	opts := tus.UploadOptions{
		Refused: tus.RefusedFail,
		Hooks: tus.Hooks{OnStoredUploadRefused: func(_ *tus.Uploader, refused *tus.StoredError) {
			fmt.Println("refused, stored less than a minute ago:", time.Since(refused.Created) < time.Minute)
		}},
	}
	_, err = client.Upload(ctx, source, &opts)
	var stored *tus.StoredError
	fmt.Println("failed:", errors.As(err, &stored))

	opts.Refused = tus.RefusedStartOver
	result, err := client.Upload(ctx, source, &opts)
	fmt.Println(result.Offset, "bytes,", result.Stats.Restarts, "restart,", err)
	// Output:
	// upload paused
	// refused, stored less than a minute ago: true
	// failed: true
	// refused, stored less than a minute ago: true
	// 1000000 bytes, 1 restart, <nil>
}
