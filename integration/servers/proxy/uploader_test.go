//go:build unix

package proxy_test

import (
	"context"
	"encoding/json"
	"time"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus"
)

const uploaderName = "proxy-uploader"

// uploaderConfig is the configuration of an uploading process.
type uploaderConfig struct {
	Endpoint, File, State string
	ChunkSize             int64
	Rate                  int64 // bytes per second
}

// uploaderResult is the event of an uploading process that was not killed.
type uploaderResult struct {
	URL, Error string
	Stats      tus.Stats
}

// uploaderRole returns the uploading process, which keeps its records in a file.
func uploaderRole() child.Role {
	return child.Role{Name: uploaderName, Run: func(ctx context.Context, encoded []byte, emit func(any)) error {
		var c uploaderConfig
		if err := json.Unmarshal(encoded, &c); err != nil {
			return err
		}
		store, err := boltstore.Open(c.State, &boltstore.Options{LockTimeout: 10 * time.Second})
		if err != nil {
			return err
		}
		defer store.Close()
		client, err := tus.NewClient(c.Endpoint, &tus.Options{
			Store: store, RequireStore: true,
			RateLimit: tus.NewRateLimit(c.Rate),
		})
		if err != nil {
			return err
		}
		defer client.CloseIdleConnections()
		result, err := client.UploadFile(ctx, c.File, &tus.UploadOptions{ChunkSize: c.ChunkSize})
		event := uploaderResult{URL: result.URL, Stats: result.Stats}
		if err != nil {
			event.Error = err.Error()
		}
		emit(event)
		return err
	}}
}
