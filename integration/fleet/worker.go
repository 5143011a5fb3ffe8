//go:build unix

// Package fleet runs workers that share the state of uploads on NATS JetStream or PostgreSQL,
// each as on a machine of its own, and kills them, the servers of the engine, or both. It
// checks that every file is complete exactly once, that an upload never has two writers, and
// how long a takeover takes.
//
// go test runs 50 kills. TUS_SOAK_FLEET=N runs N on each engine and prints a table, as
// make soak-fleet does.
package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/tus"
)

const (
	workerRole = "fleet-worker"

	workerHeader = "X-Worker"     // names the worker of a request
	fenceHeader  = "Upload-Fence" // the revision of the record

	chunkSize = 256 << 10
	// heldPause is the longest wait before the next attempt to get a held upload. A worker
	// that is told to end releases its leases before Until.
	heldPause = 400 * time.Millisecond
)

// roles returns the child processes of this package.
func roles() []child.Role {
	return []child.Role{{Name: workerRole, Run: runWorker}, {Name: natsRole, Run: runNATS}}
}

// workerConfig is the configuration of a worker.
type workerConfig struct {
	Name     string
	Engine   string // its name
	URL      string // of the engine
	Endpoint string
	Dir      string // of the files to upload
	Written  string // a file for the number of bytes written to the server
	Lease    time.Duration
	Rate     int64         // of each upload in bytes per second; 0 for those of kind slow
	Ahead    time.Duration // of the clock
	Machine  bool          // has namespaces of its own
	Probe    bool          // only tries Ahead and Machine
}

// Kinds of events of a worker.
const (
	eventReady    = "ready"
	eventLeasing  = "leasing"  // will put a record with a new lease
	eventLeased   = "leased"   // has the lease
	eventUnleased = "unleased" // did not get the lease, or released it
	eventDone     = "done"     // the upload is complete
	eventEnded    = "ended"    // the upload ended, and will be resumed
	eventFailed   = "failed"   // the upload ended with an error that must not occur
	eventGivenUp  = "given up" // no more bytes are sent, because the store is away
)

type workerEvent struct {
	Kind    string
	File    string        `json:",omitempty"`
	URL     string        `json:",omitempty"`
	Error   string        `json:",omitempty"`
	Store   bool          `json:",omitempty"` // the error matches tus.ErrStore
	Already bool          `json:",omitempty"` // the upload was already complete
	Left    time.Duration `json:",omitempty"` // until the end of the lease
	Machine string        `json:",omitempty"`
}

// worker uploads all files of a directory, together with others.
type worker struct {
	workerConfig
	emit   func(any)
	store  *watchedStore
	client *tus.Client
	work   sync.WaitGroup
}

func runWorker(ctx context.Context, encoded []byte, emit func(any)) error {
	w := worker{emit: emit}
	if err := json.Unmarshal(encoded, &w.workerConfig); err != nil {
		return err
	}
	if w.Machine {
		if err := enterMachine("machine-" + w.Name); err != nil {
			return err
		}
	}
	if w.Ahead != 0 {
		if err := setClock(w.Ahead); err != nil {
			return err
		}
	}
	if w.Probe {
		emit(workerEvent{Kind: eventReady, Machine: machineName()})
		return nil
	}
	inner, end, err := openStore(ctx, w.Engine, w.URL)
	if err != nil {
		return err
	}
	defer end()
	w.store = newWatchedStore(inner, emit)
	transport, err := countingTransport(w.Written)
	if err != nil {
		return err
	}
	w.client, err = tus.NewClient(w.Endpoint, &tus.Options{
		HTTPClient: &http.Client{Transport: transport},
		Header:     http.Header{workerHeader: {w.Name}}, FenceHeader: fenceHeader,
		Store: w.store, RequireStore: true, Lease: w.Lease, RememberCompleted: time.Hour,
		Hooks: tus.Hooks{OnStateChange: w.changed},
		Retry: tus.RetryPolicy{MaxRetries: 1000, Delay: func(int) time.Duration { return 50 * time.Millisecond }},
	})
	if err != nil {
		return err
	}
	defer w.client.CloseIdleConnections()
	emit(workerEvent{Kind: eventReady, Machine: machineName()})
	w.watch(ctx)
	w.work.Wait()
	return nil
}

// changed reports that an upload ends because the store is away. Upload returns later: it tries
// to release the lease.
func (w *worker) changed(u *tus.Uploader, _, to tus.State, err error) {
	if to == tus.StateFailed && errors.Is(err, tus.ErrStore) {
		left := w.store.end(u.Name()).Sub(time.Now().Add(-w.Ahead))
		w.emit(workerEvent{Kind: eventGivenUp, File: u.Name(), Left: left, Error: err.Error()})
	}
}

// openStore opens the store of the engine, which may be down for a while.
func openStore(ctx context.Context, engine, url string) (sharedStore, func(), error) {
	for {
		s, end, err := openEngine(ctx, engine, url)
		if err == nil {
			return s, end, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// watch uploads each file that appears in the directory.
func (w *worker) watch(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	seen := map[string]bool{}
	for {
		entries, _ := os.ReadDir(w.Dir)
		for _, e := range entries {
			if name := e.Name(); !seen[name] {
				seen[name] = true
				w.work.Go(func() { w.upload(ctx, name) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// upload uploads a file until it is complete or no longer there.
func (w *worker) upload(ctx context.Context, name string) {
	opts := &tus.UploadOptions{
		Held: tus.HeldFail, ResumeKey: name, Metadata: tus.Metadata{"filename": name},
	}
	if w.Rate > 0 && !strings.HasSuffix(name, kindSlow) {
		opts.RateLimit = tus.NewRateLimit(w.Rate)
	}
	if strings.HasSuffix(name, kindChunks) {
		opts.ChunkSize = chunkSize
	}
	for ctx.Err() == nil {
		result, err := w.client.UploadFile(ctx, filepath.Join(w.Dir, name), opts)
		var held *tus.HeldError
		pause := 100 * time.Millisecond
		switch {
		case err == nil:
			w.emit(workerEvent{Kind: eventDone, File: name, URL: result.URL, Already: result.AlreadyComplete})
			return
		case ctx.Err() != nil, errors.Is(err, fs.ErrNotExist):
			return
		case errors.As(err, &held):
			pause = w.until(ctx, held.Until)
		default:
			kind := eventFailed
			if errors.Is(err, tus.ErrStore) || errors.Is(err, tus.ErrLeaseLost) {
				kind = eventEnded
			}
			w.emit(workerEvent{Kind: kind, File: name, Error: err.Error(), Store: errors.Is(err, tus.ErrStore)})
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// until returns how long to wait for a time of the store.
func (w *worker) until(ctx context.Context, end time.Time) time.Duration {
	now, err := w.store.Now(ctx)
	if err != nil {
		return heldPause
	}
	return min(max(end.Sub(now)+time.Millisecond, 0), heldPause)
}
