package tus_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// sendOpenFile uploads an open file to an upload URL that another service created, as a
// gateway to a storage service does. Calling it again resumes the upload.
func sendOpenFile(ctx context.Context, uploadURL, token string, f *os.File) error {
	client, err := tus.NewClient(uploadURL, &tus.Options{Header: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	_, err = client.Resume(ctx, uploadURL, tus.OpenedFile(f), nil)
	switch {
	case errors.Is(err, tus.ErrUploadGone):
		return fmt.Errorf("request another upload URL: %w", err)
	case errors.Is(err, tus.ErrSourceChanged):
		return fmt.Errorf("the file was written to during the upload: %w", err)
	}
	return err
}

// Resume sends an open file to an upload URL that another service created.
func ExampleClient_Resume_openedFile() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	service, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	created, err := service.Create(context.Background(), tus.CreateOptions{Size: 5000})
	if err != nil {
		log.Fatal(err)
	}
	name, remove := exampleFile("blob", 5000)
	defer remove()
	f, err := os.Open(name)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()

	fmt.Println(sendOpenFile(context.Background(), created.URL, "transfer token", f))
	stored, _ := handler.Upload(created.URL)
	fmt.Println(len(stored.Data), "bytes, complete:", stored.Complete())
	// Output:
	// <nil>
	// 5000 bytes, complete: true
}
