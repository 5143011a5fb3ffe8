package hosted

import (
	"context"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/presets"
)

// Service has the settings for uploads to a service.
type Service struct {
	// Preset has the rules of the service. They are applied to the options below.
	Preset presets.Preset
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
// and s.Client instead, and apply s.Preset to the options of each upload. The result is never
// nil.
func (s Service) UploadFile(ctx context.Context, path string) (*tus.Result, error) {
	if err := s.Preset.Apply(&s.Client, &s.Upload); err != nil {
		return &tus.Result{}, err
	}
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
