package hosted

import (
	"context"

	"github.com/seed-175555ba/tus-go/tus"
)

// Service has the settings for uploads to a service.
type Service struct {
	// Endpoint is the upload creation URL.
	Endpoint string
	// Client has the options of the client.
	Client tus.Options
	// Upload has the options of one upload.
	Upload tus.UploadOptions
	// UploadURL, if not empty, is the URL of an upload that a backend created.
	UploadURL string
}

// UploadFile uploads one file. To upload many files, create one client with s.Endpoint
// and s.Client instead. The result is never nil.
func (s Service) UploadFile(ctx context.Context, path string) (*tus.Result, error) {
	client, err := tus.NewClient(s.Endpoint, &s.Client)
	if err != nil {
		return &tus.Result{}, err
	}
	defer client.CloseIdleConnections()
	if s.UploadURL != "" {
		return client.Resume(ctx, s.UploadURL, tus.File(path), &s.Upload)
	}
	return client.UploadFile(ctx, path, &s.Upload)
}
