package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/link"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/spool"
	"github.com/seed-175555ba/tus-go/tus"
)

const (
	// rememberKept is how long a completed upload of a file that is kept is remembered. The
	// file is uploaded again afterwards, so this exceeds the life of a spool.
	rememberKept = 10 * 365 * 24 * time.Hour
	// rememberDisposed is how long a completed upload of another file is remembered, which
	// matters from the acknowledgment of its last byte until it is moved or deleted.
	rememberDisposed = 30 * 24 * time.Hour
	// cleanInterval is the time between two removals of records that are too old.
	cleanInterval = 24 * time.Hour
)

// watchUploader uploads the files of watch.
type watchUploader struct {
	watch   *watchCommand
	common  *common
	dir     string
	options tus.UploadOptions
	metrics *watchMetrics
	close   func()
	// recording uploads no file that the resume database cannot record. The other client
	// does, and is nil if it must not: because files are kept, so that only the database
	// has the list of those that are uploaded, or because there is no database,
	// or because other machines share it.
	recording, other *tus.Client
}

// uploader returns the uploader for the files of dir.
func (w *watchCommand) uploader(ctx context.Context, p *program, c *common, dir string, metrics *watchMetrics) (*watchUploader, error) {
	u := &watchUploader{watch: w, common: c, dir: dir, metrics: metrics, close: func() {}}
	var err error
	if u.options, err = w.uploadOptions(&w.naming); err != nil {
		return nil, err
	}
	u.options.Held = tus.HeldFail
	// A process that is killed while it waits for the response to a creation with all bytes
	// leaves an upload that nothing refers to.
	u.options.CreationLimit = -1
	warnings := &storeWarnings{program: p}
	opts := tus.Options{
		Fingerprinter:     fingerprinter(w.Fingerprint),
		RememberCompleted: rememberDisposed,
		Hooks: tus.Hooks{OnStoreError: func(_ *tus.Uploader, err error) {
			metrics.storeErrors.Inc()
			warnings.warn(err)
		}},
	}
	limit, endLimit := w.Bwlimit.start()
	opts.RateLimit, u.close = limit, endLimit
	store, err := c.openRequiredState(ctx, p)
	if err != nil {
		return nil, err
	}
	if store == nil {
		u.recording, err = c.newClient(p, c.endpoint(), opts)
		return u, err
	}
	closeStore := cleaned(ctx, store, warnings)
	u.close = func() {
		closeStore()
		endLimit()
	}
	opts = store.options(opts)
	opts.Store = metrics.timed(opts.Store)
	switch {
	case !w.Delete && w.MoveTo == "":
		opts.RememberCompleted = rememberKept
	case !store.shared:
		u.other, err = c.newClient(p, c.endpoint(), opts)
	}
	if err == nil {
		opts.RequireStore = true
		u.recording, err = c.newClient(p, c.endpoint(), opts)
	}
	if err != nil {
		u.close()
	}
	return u, err
}

// upload implements [spool.Uploader].
func (u *watchUploader) upload(ctx context.Context, f spool.File, l *link.Link) (*tus.Result, error) {
	opts, err := u.optionsOf(ctx, f)
	if err != nil {
		return nil, err
	}
	result, err := u.uploadWith(ctx, u.recording, f, opts, l)
	if u.other == nil || !errors.Is(err, tus.ErrStore) || ctx.Err() != nil {
		return result, err
	}
	// On a full disk, uploading may be what frees space. But a file with a record may be
	// complete on the server.
	previous, findErr := u.other.PreviousUploads(ctx, tus.File(f.In(u.dir)), &opts)
	if findErr != nil || len(previous) > 0 {
		return result, fmt.Errorf("%w for the resume database: %w", link.ErrWait, err)
	}
	return u.uploadWith(ctx, u.other, f, opts, l)
}

// uploadWith uploads a file with one of the clients.
func (u *watchUploader) uploadWith(ctx context.Context, client *tus.Client, f spool.File, opts tus.UploadOptions, l *link.Link) (*tus.Result, error) {
	opts.Hooks = linkHooks(u.metrics.metrics, l)
	var unrecorded atomic.Bool
	opts.Hooks.OnStoreError = func(*tus.Uploader, error) { unrecorded.Store(true) }
	ctx, cancel := finishable(ctx, &unrecorded)
	defer cancel()
	result, err := client.Upload(ctx, tus.File(f.In(u.dir)), &opts)
	u.metrics.bytes.Add(float64(result.Stats.Uploaded))
	result.URL = withoutUser(result.URL)
	return result, u.common.withAdvice(err)
}

// optionsOf returns the options for a file.
func (u *watchUploader) optionsOf(ctx context.Context, f spool.File) (tus.UploadOptions, error) {
	opts := u.options
	source := file{path: f.In(u.dir), relative: f.Name, size: f.Size}
	key := u.watch.keyMetadata(source, opts.Metadata)
	opts.ResumeKey = u.watch.resumeKey(source, key, u.common.sharedState())
	opts.Metadata = u.watch.fileMetadata(source, key)
	if f.Size > 0 {
		return opts, nil
	}
	// The creation of an empty file with a length would be the whole upload.
	var err error
	opts.Parallel = 1
	opts.DeferLength, err = defersLength(ctx, u.recording)
	return opts, err
}

// finishTime is how long an upload without a record may continue after an interruption.
const finishTime = 10 * time.Second

// finishable returns a context that ends with ctx or, for an upload without a record, some
// time later: that upload cannot be resumed, and its last bytes may be on their way.
func finishable(ctx context.Context, unrecorded *atomic.Bool) (context.Context, context.CancelFunc) {
	finish, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		defer cancel()
		if unrecorded.Load() {
			select {
			case <-finish.Done():
			case <-time.After(finishTime):
			}
		}
	})
	return finish, func() {
		stop()
		cancel()
	}
}

// defersLength reports whether the server advertises deferred lengths. An error means that
// there was no response.
func defersLength(ctx context.Context, client *tus.Client) (bool, error) {
	capabilities, err := client.Capabilities(ctx)
	var failed *tus.Error
	if err != nil && (!errors.As(err, &failed) || failed.StatusCode == 0) {
		return false, err
	}
	return slices.Contains(capabilities.Extensions, "creation-defer-length"), nil
}

// cleaned removes old records from a store, now and then. It returns a function that ends
// this and closes the store.
func cleaned(ctx context.Context, store *state, warnings *storeWarnings) func() {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(cleanInterval)
		defer ticker.Stop()
		for ctx.Err() == nil {
			if err := store.deleteExpired(ctx); err != nil && ctx.Err() == nil {
				warnings.warn(err)
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		store.close()
	}
}
