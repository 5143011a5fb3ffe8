package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/spool"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus"
)

// watchCommand uploads what appears in a directory.
type watchCommand struct {
	Dir string `arg:"" name:"DIR" help:"Directory whose files are uploaded. Names that begin with a dot or end with .part, .tmp or .crdownload are not."`

	Scan     time.Duration `help:"Time between two scans of the directory, which find what the notifications of the file system missed." default:"30s"`
	Settle   time.Duration `help:"How long the size and the modification time of a file must rest before it is uploaded. A file that is renamed from a name that is not uploaded is uploaded at once." default:"5s"`
	Order    string        `help:"Which file is uploaded first: ${enum}." enum:"oldest,smallest,name" default:"oldest"`
	MoveTo   string        `help:"Move uploaded files to this directory (default: keep them)." placeholder:"DIR"`
	Delete   bool          `help:"Delete uploaded files (default: keep them)."`
	GiveUp   int           `help:"Failed attempts after which a file is set aside; 0 means never. Failures of the server, of the network and of the credentials do not count." default:"10" placeholder:"N"`
	FailedTo string        `help:"Directory for files that are set aside, each with NAME.reason.txt (default: .failed in DIR)." placeholder:"DIR"`
	Follow   bool          `help:"Upload files to which symbolic links point."`
	Metrics  string        `help:"Serve metrics for Prometheus at /metrics on this address." placeholder:"HOST:PORT"`

	ChunkSize     size     `help:"Maximum size of one request; 0 means no limit." default:"0" placeholder:"SIZE"`
	Parallel      int      `help:"Connections per file, if the server supports concatenation (default: 1)." default:"1" placeholder:"N"`
	Checksum      string   `help:"Checksum of each chunk: ${enum}. auto selects the first algorithm of this list that the server supports." enum:"auto,off,sha256,sha1,sha512,md5,crc32" default:"auto"`
	Metadata      []string `help:"Metadata of each upload (default: filename=NAME). May be repeated." placeholder:"K=V" sep:"none"`
	RelativeNames bool     `help:"Set the metadata filename to the path relative to DIR."`
	Concurrency   int      `help:"Number of files uploaded at the same time (default: 4)." default:"4" placeholder:"N"`
	LimitRate     size     `help:"Maximum bytes per second for all files together; 0 means no limit." default:"0" placeholder:"SIZE"`
	Fingerprint   string   `help:"How to fingerprint files: ${enum}." enum:"sample,content,stat" default:"sample"`
}

// transfer returns the flags that upload has as well.
func (w *watchCommand) transfer() *uploadCommand {
	return &uploadCommand{
		ChunkSize: w.ChunkSize, Parallel: w.Parallel, Checksum: w.Checksum, Metadata: w.Metadata,
		Concurrency: w.Concurrency, LimitRate: w.LimitRate, Fingerprint: w.Fingerprint, Held: "fail",
	}
}

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

// Run uploads until the process is interrupted.
func (w *watchCommand) Run(ctx context.Context, p *program, c *common) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	ignoreSizeLimit()
	if err := w.check(c); err != nil {
		return err
	}
	config, err := w.config()
	if err != nil {
		return err
	}
	opts, err := w.transfer().uploadOptions()
	if err != nil {
		return err
	}
	metrics := newWatchMetrics()
	client, closeClient, err := w.client(ctx, p, c, metrics)
	if err != nil {
		return err
	}
	defer closeClient()
	if w.Metrics != "" {
		server, err := metrics.serve(w.Metrics, p)
		if err != nil {
			return fmt.Errorf("--metrics %s: %w", w.Metrics, err)
		}
		defer server.Close()
	}
	report := newWatchReport(p, c, w, metrics)
	manager := newManager(p)
	config.Upload = w.uploader(client, config.Dir, opts, c, metrics)
	config.Heartbeat = manager.interval()
	config.Hooks = spool.Hooks{
		OnReady: manager.ready,
		OnEnd:   report.end,
		OnStatus: func(s spool.Status) {
			metrics.status(s)
			manager.status(s)
		},
		OnLog: func(text string) { p.logf("%s", text) },
	}
	defer context.AfterFunc(ctx, manager.stopping)()
	err = spool.Run(ctx, config)
	report.summary()
	if ctx.Err() == nil {
		return err
	}
	if <-signals == syscall.SIGTERM { // the way to stop a service
		return nil
	}
	return ctx.Err()
}

// check returns a usage error for flags that kong accepts.
func (w *watchCommand) check(c *common) error {
	switch {
	case c.endpoint() == "":
		return usagef("no endpoint: use --endpoint URL or set TUS_ENDPOINT")
	case w.Delete && w.MoveTo != "":
		return usagef("--delete cannot be used with --move-to")
	case w.Scan <= 0:
		return usagef("--scan %v: must be above 0", w.Scan)
	case w.Settle < 0:
		return usagef("--settle %v: must not be negative", w.Settle)
	case w.GiveUp < 0:
		return usagef("--give-up %d: must not be negative", w.GiveUp)
	}
	return w.transfer().check(c)
}

// config returns the configuration of the spool. Its paths are absolute and without links:
// they are part of the resume key.
func (w *watchCommand) config() (spool.Config, error) {
	config := spool.Config{
		Scan: w.Scan, Settle: w.Settle, Follow: w.Follow,
		Order: spool.Order(w.Order), Concurrency: w.Concurrency, GiveUp: w.GiveUp, Delete: w.Delete,
	}
	dir, err := filepath.EvalSymlinks(w.Dir)
	if err != nil {
		return config, err
	}
	if config.Dir, err = filepath.Abs(dir); err != nil {
		return config, err
	}
	for _, target := range []struct {
		flag, value string
		path        *string
	}{{"--move-to", w.MoveTo, &config.MoveTo}, {"--failed-to", w.FailedTo, &config.FailedTo}} {
		if target.value == "" {
			continue
		}
		if *target.path, err = targetPath(target.value); err != nil {
			return config, err
		}
		if *target.path == config.Dir {
			return config, usagef("%s %s: must not be the directory that is watched", target.flag, target.value)
		}
	}
	return config, nil
}

// targetPath creates a directory and returns its path without links.
func targetPath(path string) (string, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// client returns a client with the resume database, and a function that closes both.
func (w *watchCommand) client(ctx context.Context, p *program, c *common, metrics *watchMetrics) (*tus.Client, func(), error) {
	warnings := &storeWarnings{program: p}
	opts := tus.Options{
		Fingerprinter:     fingerprinter(w.Fingerprint),
		RememberCompleted: rememberDisposed,
		Hooks: tus.Hooks{OnStoreError: func(_ *tus.Uploader, err error) {
			metrics.storeErrors.Inc()
			warnings.warn(err)
		}},
	}
	if w.LimitRate > 0 {
		opts.RateLimit = tus.NewRateLimit(int64(w.LimitRate))
	}
	store, err := openRequiredState(p, c)
	if err != nil {
		return nil, nil, err
	}
	closeStore := func() {}
	if store != nil {
		opts.Store = store
		if !w.Delete && w.MoveTo == "" {
			// The store alone knows which files are uploaded. Uploading frees no space.
			opts.RememberCompleted, opts.RequireStore = rememberKept, true
		}
		closeStore = cleaned(ctx, store, warnings)
	}
	client, err := c.newClient(p, c.endpoint(), opts)
	if err != nil {
		closeStore()
		return nil, nil, err
	}
	return client, func() {
		client.CloseIdleConnections()
		closeStore()
	}, nil
}

// openRequiredState opens the resume database, which may be missing only with --no-state:
// without it, a crash may upload a file twice.
func openRequiredState(p *program, c *common) (*boltstore.Store, error) {
	if !c.NoState && c.State == "" {
		path, err := defaultState()
		if err != nil {
			return nil, err
		}
		c.State = path // an error is then not passed over
	}
	store, err := c.openState(p)
	if err != nil {
		return nil, fmt.Errorf("%w; without a resume database (--no-state), a crash may upload files twice", err)
	}
	return store, nil
}

// cleaned removes old records from a store, now and then. It returns a function that ends
// this and closes the store.
func cleaned(ctx context.Context, store *boltstore.Store, warnings *storeWarnings) func() {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(cleanInterval)
		defer ticker.Stop()
		for ctx.Err() == nil {
			if _, err := storage.DeleteExpired(ctx, store, time.Now()); err != nil && ctx.Err() == nil {
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
		store.Close()
	}
}

// uploader returns the function that uploads a file of the spool.
func (w *watchCommand) uploader(client *tus.Client, dir string, opts tus.UploadOptions, c *common, metrics *watchMetrics) spool.Uploader {
	// A process that is killed while it waits for the response to a creation with all bytes
	// leaves an upload that nothing refers to.
	opts.CreationLimit = -1
	return func(ctx context.Context, f spool.File, link *spool.Link) (spool.Outcome, error) {
		opts := opts
		if opts.Metadata == nil && w.RelativeNames {
			opts.Metadata = tus.Metadata{"filename": filepath.ToSlash(f.Name)}
		}
		if f.Size == 0 { // its creation would be the whole upload
			var err error
			if opts.DeferLength, err = defersLength(ctx, client); err != nil {
				return spool.Outcome{}, err
			}
			opts.Parallel = 1
		}
		opts.Hooks.OnRetry = func(_ *tus.Uploader, r tus.Retry) {
			metrics.retries.Inc()
			if r.Attempt > 1 { // a single failure is common
				link.Failed(r.Err)
			}
		}
		opts.Hooks.OnProgress = func(_ *tus.Uploader, p tus.Progress) {
			if p.Acknowledged > 0 {
				link.Reached()
			}
		}
		result, err := client.Upload(ctx, tus.File(f.In(dir)), &opts)
		metrics.bytes.Add(float64(result.Stats.Uploaded))
		result.URL = withoutUser(result.URL)
		return spool.Outcome{Result: result, AlreadyComplete: result.AlreadyComplete}, c.withAdvice(err)
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
