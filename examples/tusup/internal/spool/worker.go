package spool

import (
	"context"
	"errors"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/link"
	"github.com/seed-175555ba/tus-go/tus"
)

// action is what a worker does with a file.
type action int

const (
	uploadAndDispose action = iota
	disposeOnly             // of a file that was uploaded before
	setAsideOnly
)

// job is the work on one file.
type job struct {
	entry  *entry
	file   File
	action action
	why    reason // for setAsideOnly
}

// result is the end of a job.
type result struct {
	job
	outcome *tus.Result // of the upload; may be nil after an error
	err     error       // of the upload
	path    string
	moveErr error // of the disposal
	now     sighting
}

// worker does jobs.
type worker struct {
	upload   Uploader
	link     *link.Link
	disposal *disposal
}

// do does a job.
func (w *worker) do(ctx context.Context, j job) result {
	r := result{job: j}
	switch j.action {
	case uploadAndDispose:
		if r.err = w.disposal.check(j.file); r.err == nil { // it may have waited for days
			r.outcome, r.err = w.upload(ctx, j.file, w.link)
		}
		if r.err == nil {
			r.path, r.moveErr = w.disposal.uploaded(ctx, j.file)
		}
	case disposeOnly:
		r.path, r.moveErr = w.disposal.uploaded(ctx, j.file)
	case setAsideOnly:
		r.path, r.moveErr = w.disposal.setAside(ctx, j.file, j.why)
	}
	r.now = w.disposal.scan.look(j.file.Name)
	return r
}

// changed reports whether another version of the file is in its place, and uploads again.
func (r result) changed() bool {
	return errors.Is(r.moveErr, errChanged) || r.now.kind == regularFile && !r.now.file.equal(r.file)
}
