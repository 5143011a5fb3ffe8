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

// Run uploads everything that the command line names.
func (u *uploadCommand) Run(ctx context.Context, p *program, c *common) error {
	if err := u.check(c); err != nil {
		return err
	}
	out := &output{program: p, json: c.JSON}
	files := collect(u.Files, out)
	if len(files) == 0 {
		return out.failure()
	}
	opts, err := u.uploadOptions()
	if err != nil {
		return err
	}
	endpoint := c.endpoint()
	if endpoint == "" && u.UploadURL != "" {
		endpoint = string(u.UploadURL)
	}
	embedded := endpoint == ""
	if embedded {
		c.NoState = true // the next one has another address
		server, err := startServer("uploads", "127.0.0.1:0", p, c.Verbose)
		if err != nil {
			return err
		}
		defer server.close()
		endpoint = server.endpoint
		p.logf("no endpoint given: a tusd at %s stores in %s", endpoint, server.dir)
	}
	client, closeState, err := u.client(p, c, endpoint)
	if err != nil {
		return err
	}
	defer closeState()
	out.progress = newProgress(u.Progress, p, files)
	aside := out.progress.suspend
	p.aside.Store(&aside)
	if u.UploadURL != "" {
		u.resume(ctx, c, client, files[0], opts, out)
	} else {
		u.uploadAll(ctx, c, client, files, opts, out)
	}
	out.progress.close()
	if ctx.Err() != nil {
		out.explainPause(u, c, embedded)
	}
	return out.failure()
}

// client makes the client of this command, with the resume database.
func (u *uploadCommand) client(p *program, c *common, endpoint string) (*tus.Client, func(), error) {
	opts := tus.Options{
		Fingerprinter: fingerprinter(u.Fingerprint),
		Hooks: tus.Hooks{
			OnHeld:       func(up *tus.Uploader, held *tus.HeldError) { p.logf("%s", u.heldText(up.Name(), held)) },
			OnStoreError: func(up *tus.Uploader, err error) { p.logf("%s: going on without resume: %v", up.Name(), err) },
		},
	}
	if u.LimitRate > 0 {
		opts.RateLimit = tus.NewRateLimit(int64(u.LimitRate))
	}
	if u.UploadURL != "" {
		c.NoState = true
	}
	// What is wrong with the options shows before the database is opened.
	if _, err := c.newClient(p, endpoint, opts); err != nil {
		return nil, nil, err
	}
	store, err := c.openState(p)
	if err != nil {
		return nil, nil, err
	}
	opts.Store = stored(store)
	client, err := c.newClient(p, endpoint, opts)
	return client, func() {
		client.CloseIdleConnections()
		if store != nil {
			store.Close()
		}
	}, err
}

// heldPolicies are the choices of --held.
var heldPolicies = map[string]tus.HeldPolicy{"wait": tus.HeldWait, "fail": tus.HeldFail, "begin": tus.HeldBegin}

// heldText says that a stored upload is held, and what follows.
func (u *uploadCommand) heldText(name string, held *tus.HeldError) string {
	text := fmt.Sprintf("%s: another uploader holds its stored upload until %s", name, held.Until.Local().Format(time.TimeOnly))
	switch {
	case held.Wait > 0:
		return fmt.Sprintf("%s; waiting for at most %v", text, held.Wait.Round(time.Second))
	case heldPolicies[u.Held] == tus.HeldFail:
		return text
	}
	return text + "; a second upload begins"
}

// uploadOptions are those of each file.
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
		Held:        heldPolicies[u.Held],
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
	for r := range client.UploadAll(ctx, jobs, &tus.BatchOptions{Concurrency: u.Concurrency}) {
		f := r.Job.Tag.(file)
		if i := slices.Index(waiting, f); i >= 0 {
			waiting = slices.Delete(waiting, i, i+1)
		}
		u.ended(ctx, client, f, r.Result, c.explainRefusal(r.Err), out)
	}
	out.notBegun(waiting)
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

// resume goes on with --upload-url.
func (u *uploadCommand) resume(ctx context.Context, c *common, client *tus.Client, f file, opts tus.UploadOptions, out *output) {
	job := u.job(f, opts, out)
	result, err := client.Resume(ctx, string(u.UploadURL), job.Source, job.Options)
	u.ended(ctx, client, f, result, c.explainRefusal(err), out)
}

// givenUp tells whether nobody will want the upload any more that ended with err:
// it did not fail if its end is only unconfirmed, and it may go on elsewhere, or be
// one of something else.
func givenUp(err error) bool {
	return err != nil && !errors.Is(err, tus.ErrUnconfirmed) && !errors.Is(err, tus.ErrLeaseLost) && !errors.Is(err, tus.ErrSourceMismatch)
}

// ended says what became of a file.
func (u *uploadCommand) ended(ctx context.Context, client *tus.Client, f file, result *tus.Result, err error, out *output) {
	out.progress.finish(f, result, err)
	if u.TerminateFail && result.URL != "" && givenUp(err) && !ended(ctx, err) {
		if err := client.Terminate(ctx, result.URL); err != nil {
			out.logf("%s: not deleted on the server: %v", f.name(), err)
		} else {
			result.URL = ""
		}
	}
	out.result(f, result, err)
	if errors.Is(err, tus.ErrUnconfirmed) && !f.stdin && u.UploadURL == "" {
		out.logf("%s: look at the server; it is sent again after tusup forget (tusup list names it)", f.name())
	}
}
