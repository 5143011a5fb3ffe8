package tus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// A worker that is shut down leaves a token. Another one, which has neither its store nor its
// file, resumes with a copy of the data.
func ExampleUploader_Token() {
	srv := httptest.NewServer(tustest.NewHandler(nil))
	defer srv.Close()
	key := []byte("known to all workers")
	newClient := func() *tus.Client {
		client, err := tus.NewClient(srv.URL+"/files/", &tus.Options{TokenKey: key})
		if err != nil {
			panic(err)
		}
		return client
	}
	data := make([]byte, 1_000_000)
	ctx := context.Background()

	first := newClient()
	defer first.CloseIdleConnections()
	u, err := first.NewUploader(tus.Bytes(data), &tus.UploadOptions{ChunkSize: 100_000, StopAt: 300_000})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := u.Run(ctx); !errors.Is(err, tus.ErrPaused) {
		fmt.Println(err)
		return
	}
	token, err := u.Token(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}

	second := newClient()
	defer second.CloseIdleConnections()
	result, err := second.Upload(ctx, tus.Bytes(data), &tus.UploadOptions{Token: token})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("from", result.Stats.ResumedFrom, "to", result.Offset)

	_, err = second.Upload(ctx, tus.Bytes(data), &tus.UploadOptions{Token: token + "A"})
	fmt.Println(err)
	// Output:
	// from 300000 to 1000000
	// invalid input: UploadOptions.Token: the signature does not match Options.TokenKey
}
