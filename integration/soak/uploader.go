// Package soak kills uploading programs and their server, at random and at chosen
// instants. It checks that every upload ends with the exact bytes on tusd, and that
// each kill costs at most the bytes in flight.
//
// go test runs a few hundred kills. TUS_SOAK=N runs N of each kind and prints a
// table, as make soak does.
package soak

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus"
)

const uploaderRole = "soak-uploader"

// instant is when an uploader kills itself. If it is empty, the parent kills the
// uploader at a random moment.
type instant string

const (
	beforeCreation instant = "before creation"
	beforeStore    instant = "between creation and store"
	beforeFinal    instant = "between the parts and the final upload"
	beforeRemoval  instant = "between the last bytes and the record's removal"
)

// uploaderConfig is the configuration of an uploader.
type uploaderConfig struct {
	Endpoint string
	File     string
	State    string
	Options  uploadShape
	Die      instant `json:",omitempty"`
}

// uploadShape is how a file is sent.
type uploadShape struct {
	Name        string
	ChunkSize   int64
	Parallel    int   `json:",omitempty"`
	MinPartSize int64 `json:",omitempty"`
	DeferLength bool  `json:",omitempty"`
}

// uploaderEvent is the result of an uploader.
type uploaderEvent struct {
	URL   string
	Error string `json:",omitempty"`
}

// runUploader is the child process. It retries while the server is dead.
func runUploader(ctx context.Context, encoded []byte, emit func(any)) error {
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
		Retry: tus.RetryPolicy{
			MaxRetries: 1000,
			Delay:      func(int) time.Duration { return 20 * time.Millisecond },
		},
		Hooks: killHooks(c.Die),
	})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	result, err := client.UploadFile(ctx, c.File, &tus.UploadOptions{
		ChunkSize: c.Options.ChunkSize, Parallel: c.Options.Parallel,
		DeferLength:     c.Options.DeferLength,
		ParallelOptions: tus.ParallelOptions{MinPartSize: c.Options.MinPartSize},
	})
	event := uploaderEvent{URL: result.URL}
	if err != nil {
		event.Error = err.Error()
	}
	emit(event)
	return err
}

// killHooks returns hooks that kill the process at an instant.
func killHooks(at instant) tus.Hooks {
	return tus.Hooks{
		BeforeRequest: func(r *http.Request) error {
			if at == beforeCreation && r.Method == http.MethodPost {
				return die()
			}
			return nil
		},
		OnCreated: func(_ *tus.Uploader, c *tus.Created) {
			if at == beforeStore && c.Concat != "final" {
				_ = die()
			}
		},
		OnStateChange: func(_ *tus.Uploader, _, to tus.State, _ error) {
			if at == beforeFinal && to == tus.StateConcatenating || at == beforeRemoval && to == tus.StateFinishing {
				_ = die()
			}
		},
	}
}

// die sends SIGKILL to its own process.
func die() error {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := self.Kill(); err != nil {
		return err
	}
	<-make(chan struct{}) // until the kill takes effect
	return errors.New("still alive")
}

// roles returns the child processes of this package.
func roles() []child.Role { return []child.Role{{Name: uploaderRole, Run: runUploader}} }
