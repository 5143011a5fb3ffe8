package hosted

import (
	"context"

	"github.com/seed-175555ba/tus-go/tus"
)

// Service is what is special about the uploads to a service.
type Service struct {
	// Endpoint is the upload creation URL.
	Endpoint string
	// Client says how to talk to it.
	Client tus.Options
	// Upload says how to send one upload.
	Upload tus.UploadOptions
	// UploadURL, if not empty, is the upload itself, made by a backend.
	UploadURL string
}

// UploadFile uploads one file. A program that uploads many makes a client of
// s.Endpoint and s.Client, and keeps it. The result is never nil.
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
