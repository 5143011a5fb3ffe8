package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// Run uploads the files of the command line.
func (u *uploadCommand) Run(ctx context.Context, p *program, c *common) error {
	if err := u.check(c); err != nil {
		return err
	}
	endpoint, err := u.endpoint(c)
	if err != nil {
		return err
	}
	opts, err := u.uploadOptions()
	if err != nil {
		return err
	}
	out := newOutput(p, c.JSON)
	files := collect(u.Files, out)
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
	client, closeClient, err := u.client(p, c, endpoint, out)
	if err != nil {
		return err
	}
	defer closeClient()
	out.progress = newProgress(u.Progress, p, files)
	hideBar := out.progress.withoutDisplay
	p.hideBar.Store(&hideBar)
	if u.UploadURL != "" {
		u.resume(ctx, c, client, files[0], opts, out)
	} else {
		u.uploadAll(ctx, c, client, files, opts, out)
	}
	out.progress.close()
	out.printInterrupted(ctx, u, c, client)
	out.printSummary()
	return out.failure()
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
func (u *uploadCommand) client(p *program, c *common, endpoint string, out *output) (*tus.Client, func(), error) {
	reached := &reach{}
	opts := tus.Options{
		Fingerprinter: fingerprinter(u.Fingerprint),
		Retry:         tus.RetryPolicy{ShouldRetry: reached.shouldRetry},
		Hooks: tus.Hooks{
			AfterResponse: reached.response,
			OnRetry:       func(_ *tus.Uploader, r tus.Retry) { out.retrying(r.Err) },
			OnHeld:        func(up *tus.Uploader, held *tus.HeldError) { p.logf("%s", u.heldText(orDash(up.Name()), held)) },
			OnStoreError: func(up *tus.Uploader, err error) {
				p.logf("%s: cannot be resumed later: %v", orDash(up.Name()), err)
			},
		},
	}
	if u.LimitRate > 0 {
		opts.RateLimit = tus.NewRateLimit(int64(u.LimitRate))
	}
	if u.UploadURL != "" {
		c.NoState = true
	}
	// Report invalid options before the database is opened.
	if _, err := c.newClient(p, endpoint, opts); err != nil {
		return nil, nil, err
	}
	store, err := c.openState(p)
	if err != nil {
		return nil, nil, err
	}
	if store != nil {
		opts.Store = store
	}
	client, err := c.newClient(p, endpoint, opts)
	return client, func() {
		client.CloseIdleConnections()
		if store != nil {
			store.Close()
		}
	}, err
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

// heldText returns a line about a stored upload with another holder.
func (u *uploadCommand) heldText(name string, held *tus.HeldError) string {
	text := fmt.Sprintf("%s: another uploader holds its stored upload until %s", name, held.Until.Local().Format(time.TimeOnly))
	switch {
	case held.Wait > 0:
		return fmt.Sprintf("%s; waiting for at most %v", text, held.Wait.Round(time.Second))
	case u.heldPolicy() == tus.HeldFail:
		return text
	}
	return text + "; starting a second upload"
}

// uploadOptions returns the options of each file.
func (u *uploadCommand) uploadOptions() (tus.UploadOptions, error) {
	metadata, err := u.metadata()
	checksum := u.Checksum
	if checksum == "auto" {
		checksum = ""
	}
	return tus.UploadOptions{
		Metadata:    metadata,
		ChunkSize:   int64(u.ChunkSize),
		Parallel:    u.Parallel,
		Checksum:    checksum,
		DeferLength: u.DeferredLength,
		Held:        u.heldPolicy(),
	}, err
}

// uploadAll uploads several files at the same time.
func (u *uploadCommand) uploadAll(ctx context.Context, c *common, client *tus.Client, files []file, opts tus.UploadOptions, out *output) {
	jobs := func(yield func(tus.Job) bool) {
		for _, f := range files {
			if !yield(u.job(f, opts, out)) {
				return
			}
		}
	}
	waiting := slices.Clone(files)
	for r, err := range client.UploadAll(ctx, jobs, u.Concurrency) {
		f := r.Job.Tag.(file)
		if i := slices.Index(waiting, f); i >= 0 {
			waiting = slices.Delete(waiting, i, i+1)
		}
		u.ended(ctx, client, f, r, c.withAdvice(err), out)
	}
	out.notStarted(waiting)
}

func (u *uploadCommand) job(f file, opts tus.UploadOptions, out *output) tus.Job {
	opts.Hooks.OnProgress = func(_ *tus.Uploader, p tus.Progress) { out.progress.update(f, p) }
	if f.stdin {
		return tus.Job{Source: tus.Reader(out.stdin), Options: &opts, Tag: f}
	}
	if opts.Metadata == nil && u.RelativeNames && f.relative != "" {
		opts.Metadata = tus.Metadata{"filename": filepath.ToSlash(f.relative)}
	}
	return tus.Job{Source: tus.File(f.path), Options: &opts, Tag: f}
}

// resume resumes the upload of --upload-url.
func (u *uploadCommand) resume(ctx context.Context, c *common, client *tus.Client, f file, opts tus.UploadOptions, out *output) {
	job := u.job(f, opts, out)
	result, err := client.Resume(ctx, string(u.UploadURL), job.Source, job.Options)
	u.ended(ctx, client, f, result, c.withAdvice(err), out)
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
	out.progress.finish(f, result, err)
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
