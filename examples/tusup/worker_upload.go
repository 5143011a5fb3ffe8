package main

import (
	"context"
	"maps"
	"os"
	"sync"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/fleet"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/link"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
)

// workerUploader uploads the jobs of a worker.
type workerUploader struct {
	worker  *workerCommand
	common  *common
	program *program
	root    string
	metrics *workerMetrics
	client  tus.Options
	options tus.UploadOptions
	close   func()

	mu      sync.Mutex
	clients map[string]*tus.Client // by endpoint
	begun   map[string]bool        // unfinished jobs of this process, by key
}

// uploader returns the uploader for the files below root.
func (w *workerCommand) uploader(ctx context.Context, p *program, c *common, root string, engine *fleet.Engine, metrics *workerMetrics) (*workerUploader, error) {
	u := &workerUploader{worker: w, common: c, program: p, root: root, metrics: metrics, clients: map[string]*tus.Client{}, begun: map[string]bool{}}
	var err error
	if u.options, err = w.uploadOptions(&naming{}); err != nil {
		return nil, err
	}
	u.options.Held = tus.HeldFail
	u.options.CreationLimit = -1 // as for watch
	warnings := &storeWarnings{program: p}
	limit, endLimit := w.Bwlimit.start()
	database := &state{Store: metrics.timed(engine.Store), shared: true, close: func() {}}
	u.client = database.options(tus.Options{
		Fingerprinter:     fingerprinter(w.Fingerprint),
		RememberCompleted: rememberCompleted,
		RateLimit:         limit,
		Hooks: tus.Hooks{OnStoreError: func(_ *tus.Uploader, err error) {
			metrics.storeErrors.Inc()
			warnings.warn(err)
		}},
	})
	endCleaning := cleaned(ctx, database, warnings)
	u.close = func() {
		endCleaning()
		endLimit()
	}
	return u, nil
}

// clientFor returns the client for the endpoint of a job. It sends the credentials of the
// worker only to their origin.
func (u *workerUploader) clientFor(endpoint string) (*tus.Client, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if client := u.clients[endpoint]; client != nil {
		return client, nil
	}
	c := *u.common
	if !sameOrigin(c.endpoint(), endpoint) && !hasOrigin(c.trustedOrigins(), endpoint) {
		c.ClientCert, c.ClientKey = "", ""
	}
	opts, err := c.clientOptions(u.program, endpoint, u.client)
	if err != nil {
		return nil, err
	}
	opts.ResumeScope = "job " + endpoint // whatever remote a worker uses
	client, err := c.clientWith(endpoint, opts)
	if err == nil {
		u.clients[endpoint] = client
	}
	return client, err
}

// upload uploads a job.
func (u *workerUploader) upload(ctx context.Context, j fleet.Job, l *link.Link) (*tus.Result, error) {
	client, err := u.clientFor(j.Endpoint)
	if err != nil {
		return nil, err
	}
	opts := u.options
	key := orEmpty(maps.Clone(tus.Metadata(j.Metadata)))
	opts.ResumeKey = u.worker.resumeKey(file{relative: j.Source}, key, true)
	source, err := u.source(ctx, j, key, client, &opts)
	if err != nil {
		return nil, err
	}
	opts.Hooks = linkHooks(u.metrics.metrics, l)
	begin := func() (first bool) { return u.begin(j.Endpoint + " " + opts.ResumeKey) }
	opts.Hooks.OnCreated = func(*tus.Uploader, *tus.Created) { begin() }
	opts.Hooks.OnResumed = func(_ *tus.Uploader, r tus.Resumed) {
		if begin() {
			u.metrics.takeovers.Inc()
			u.program.logf("%s: taking over the upload of an earlier worker at %s", j.Name(), bytesText(r.Offset))
		}
	}
	result, err := client.Upload(ctx, source, &opts)
	if err == nil {
		u.complete(j.Endpoint + " " + opts.ResumeKey)
	}
	u.metrics.bytes.Add(float64(result.Stats.Uploaded))
	result.URL = withoutUser(result.URL)
	return result, u.common.withAdvice(err)
}

// begin reports whether this process has not worked on the upload of a job before.
func (u *workerUploader) begin(key string) (first bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	first = !u.begun[key]
	u.begun[key] = true
	return first
}

func (u *workerUploader) complete(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.begun, key)
}

// source returns the source of a job. It sets the metadata, and what an empty file needs.
func (u *workerUploader) source(ctx context.Context, j fleet.Job, key tus.Metadata, client *tus.Client, opts *tus.UploadOptions) (tus.Source, error) {
	if j.IsURL() {
		opts.Metadata = key
		return httpsource.New(j.Source, nil)
	}
	path := j.Path(u.root)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	opts.Metadata = u.worker.fileMetadata(file{path: path, size: info.Size()}, key)
	if info.Size() == 0 {
		opts.Parallel = 1
		opts.DeferLength, err = defersLength(ctx, client)
	}
	return tus.File(path), err
}

// linkHooks returns hooks that report the progress and the failures of an upload to the link.
func linkHooks(m *metrics, l *link.Link) tus.Hooks {
	acknowledged := int64(-1)
	return tus.Hooks{
		OnRetry: func(_ *tus.Uploader, r tus.Retry) {
			m.retries.Inc()
			if r.Attempt > 1 { // a single failure is common
				l.Failed(r.Err)
			}
		},
		OnProgress: func(_ *tus.Uploader, p tus.Progress) { // not called concurrently
			// The first value may be from an earlier session. Bytes that are sent prove nothing.
			if acknowledged >= 0 && p.Acknowledged > acknowledged {
				l.Reached()
			}
			acknowledged = p.Acknowledged
		},
	}
}
