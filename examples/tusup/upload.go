package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// Run uploads the files of the command line.
func (u *uploadCommand) Run(ctx context.Context, p *program, c *common) error {
	if err := u.check(c); err != nil {
		return err
	}
	u.beQuiet(p, c) // after check, which may reset it
	if u.Quiet {
		u.Progress = "none"
	}
	endpoint, err := u.endpoint(c)
	if err != nil && !u.DryRun {
		return err
	}
	opts, err := u.uploadOptions(&u.naming)
	if err != nil {
		return err
	}
	opts.BufferLimit, opts.DeferLength, opts.Held, opts.Again = int64(u.BufferLimit), u.DeferredLength, u.heldPolicy(), u.Again
	if u.Refused == "start-over" {
		opts.Refused = tus.RefusedStartOver
	}
	out := newOutput(p, c.JSON)
	files, err := u.selectFiles(ctx, u.Files, out)
	files = u.withoutManifest(files, out)
	if err != nil {
		return err
	}
	if u.DryRun {
		return u.printPlan(ctx, c, files, opts.Metadata, out)
	}
	if len(files) == 0 {
		out.printSummary()
		return out.failure()
	}
	if u.Local {
		c.NoState = true // the next embedded server has another address
		server, err := startServer("uploads", "127.0.0.1:0", p, c.Verbose)
		if err != nil {
			return err
		}
		defer server.close()
		endpoint = server.endpoint
		p.logf("uploading to an embedded tusd at %s, which stores in %s and ends with this process", endpoint, server.dir)
	}
	if u.UploadURL != "" {
		c.NoState = true
	}
	client, closeClient, err := u.client(ctx, p, c, endpoint, out)
	if err != nil {
		return err
	}
	defer closeClient()
	out.showProgress(u.Progress, files)
	u.uploadAll(ctx, c, client, files, opts, out)
	out.progress.Close()
	err = u.writeManifest(out)
	out.printInterrupted(ctx, u, c, client)
	if c.JSON || !u.Quiet {
		out.printSummary()
	}
	return cmp.Or(out.failure(), err)
}

// endpoint returns the endpoint, "" with --local.
func (u *uploadCommand) endpoint(c *common) (string, error) {
	endpoint := c.endpoint()
	switch {
	case u.Local && (c.Endpoint != "" || u.UploadURL != ""):
		return "", usagef("--local cannot be used with --endpoint and --upload-url")
	case u.Local:
		return "", nil
	case endpoint == "" && u.UploadURL != "":
		return string(u.UploadURL), nil
	case endpoint == "":
		return "", usagef("no endpoint: use --endpoint URL or set TUS_ENDPOINT; to try tusup without a server, use --local")
	}
	return endpoint, nil
}

// client returns the client of this command with the resume database, and a function that
// closes both.
func (u *uploadCommand) client(ctx context.Context, p *program, c *common, endpoint string, out *output) (*tus.Client, func(), error) {
	reached := &reach{}
	opts, err := c.clientOptions(p, endpoint, tus.Options{
		Fingerprinter: fingerprinter(u.Fingerprint),
		Retry:         tus.RetryPolicy{ShouldRetry: reached.shouldRetry},

		RememberCompleted: rememberCompleted,
		VerifyCompleted:   u.CheckUploaded,
		Hooks: tus.Hooks{
			AfterResponse: reached.response,
			OnRetry:       func(_ *tus.Uploader, r tus.Retry) { out.retrying(r.Err) },
			OnHeld:        u.heldHook(p, c),
			OnStoreError:  out.storeError(c.sharedState()),

			OnStoredUploadRefused: u.refusedHook(p),
		},
	})
	if err != nil {
		return nil, nil, err
	}
	// Report invalid options before the database is opened.
	if _, err := c.clientWith(endpoint, opts); err != nil {
		return nil, nil, err
	}
	store, err := c.openState(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	opts = store.options(opts)
	out.unstored.Store(store == nil)
	limit, endLimit := u.Bwlimit.start()
	opts.RateLimit = limit
	client, err := c.clientWith(endpoint, opts)
	return client, func() {
		endLimit()
		client.CloseIdleConnections()
		if store != nil {
			closeState(ctx, store)
		}
	}, err
}

// beQuiet discards what --quiet excludes.
func (t *transfer) beQuiet(p *program, c *common) {
	if t.Quiet && !c.JSON {
		p.stdout.w = io.Discard
	}
}

// heldPolicy returns the value of --held.
func (u *uploadCommand) heldPolicy() tus.HeldPolicy {
	switch u.Held {
	case "fail":
		return tus.HeldFail
	case "begin":
		return tus.HeldBegin
	}
	return tus.HeldWait
}

// heldHook returns a [tus.Hooks.OnHeld]. Of two runs for one directory, each may wait for
// many files of the other, so only the first wait is logged without --verbose.
func (u *uploadCommand) heldHook(p *program, c *common) func(*tus.Uploader, *tus.HeldError) {
	var waited atomic.Bool
	return func(up *tus.Uploader, held *tus.HeldError) {
		if held.Wait == 0 || !waited.Swap(true) || c.Verbose {
			p.logf("%s", u.heldText(orDash(up.Name()), held))
		}
	}
}

// heldText returns a line about a stored upload with another holder.
func (u *uploadCommand) heldText(name string, held *tus.HeldError) string {
	text := fmt.Sprintf("%s: another uploader holds its stored upload until %s", name, held.Until.Local().Format(time.TimeOnly))
	switch {
	case held.Wait > 0:
		return text + "; waiting for it"
	case u.heldPolicy() == tus.HeldFail:
		return text
	}
	return text + "; starting a second upload"
}

// refusedHook returns a [tus.Hooks.OnStoredUploadRefused]. If the upload fails, its error is
// printed.
func (u *uploadCommand) refusedHook(p *program) func(*tus.Uploader, *tus.StoredError) {
	if u.Refused != "start-over" {
		return nil
	}
	return func(up *tus.Uploader, refused *tus.StoredError) {
		p.logf("%s: the server refuses to show its stored upload of %s; starting over", orDash(up.Name()), refused.Created.Local().Format(time.DateTime))
	}
}

// uploadOptions returns the options of each file that these flags set.
func (t *transfer) uploadOptions(n *naming) (tus.UploadOptions, error) {
	metadata, err := n.metadata()
	checksum := t.Checksum
	if checksum == "auto" {
		checksum = ""
	}
	return tus.UploadOptions{
		Metadata:     metadata,
		ChunkSize:    int64(t.ChunkSize),
		MinChunkSize: int64(t.MinChunkSize),
		Parallel:     t.Parallel,
		Checksum:     checksum,
	}, err
}

// uploadAll uploads several files at the same time.
func (u *uploadCommand) uploadAll(ctx context.Context, c *common, client *tus.Client, files []file, opts tus.UploadOptions, out *output) {
	jobs := func(yield func(tus.Job) bool) {
		for _, f := range streamLast(files) {
			job := u.job(ctx, c, f, opts, out)
			if ctx.Err() != nil || !yield(job) {
				return
			}
		}
	}
	ended := make([]bool, len(files)) // by number
	for r, err := range client.UploadAll(ctx, out.counter.Jobs(jobs), u.Concurrency) {
		f := r.Job.Tag.(file)
		ended[f.number] = true
		u.ended(ctx, client, f, r, c.withAdvice(err), out)
	}
	out.notStarted(slices.DeleteFunc(slices.Clone(files), func(f file) bool { return ended[f.number] }))
}

// job prepares the upload of a file. If that fails, so does the job.
func (u *uploadCommand) job(ctx context.Context, c *common, f file, opts tus.UploadOptions, out *output) tus.Job {
	f.shown = out.progress.Start(f.shownName(), f.size)
	opts.Hooks = f.shown.Hooks()
	source, err := u.prepare(ctx, &f, &opts, c.sharedState(), out)
	if err != nil {
		source = brokenSource{err}
	}
	return tus.Job{Source: source, URL: string(u.UploadURL), Options: &opts, Tag: f}
}

// isAbandoned reports whether an upload that ended with err can be deleted. It cannot if
// it may be complete, if another process may resume it, or if it belongs to another source.
func isAbandoned(err error) bool {
	return err != nil && !errors.Is(err, tus.ErrUnconfirmed) && !errors.Is(err, tus.ErrLeaseLost) && !errors.Is(err, tus.ErrSourceMismatch)
}

// isInterruption reports whether err is caused by the end of ctx.
func isInterruption(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, tus.ErrPaused))
}

// ended reports the end of a file, and deletes its upload with --terminate-on-fail.
func (u *uploadCommand) ended(ctx context.Context, client *tus.Client, f file, result *tus.Result, err error, out *output) {
	f, err = u.recordDigest(f, result, err)
	f.shown.End()
	if u.TerminateFail && result.URL != "" && isAbandoned(err) && !isInterruption(ctx, err) {
		if err := client.Terminate(ctx, result.URL); err != nil {
			out.logf("%s: the upload was not deleted on the server: %v", f.name(), err)
		} else {
			result.URL = ""
		}
	}
	out.result(f, result, err)
	if errors.Is(err, tus.ErrUnconfirmed) && !f.stdin && u.UploadURL == "" {
		out.logf("%s: check the server; to upload the file again, remove its record with tusup forget (see tusup list)", f.name())
	}
}
