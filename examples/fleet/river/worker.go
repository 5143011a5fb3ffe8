package main

import (
	"context"
	"errors"
	"log"
	"time"

	"github.com/riverqueue/river"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

// uploadJob are the arguments of a job.
type uploadJob struct {
	Path string `json:"path"` // the same on all machines
}

// Kind implements [river.JobArgs].
func (uploadJob) Kind() string { return "upload" }

// uploader works the jobs.
type uploader struct {
	river.WorkerDefaults[uploadJob]
	client *tus.Client
	clock  storage.Clock
}

// Work uploads the file of a job.
func (u *uploader) Work(ctx context.Context, job *river.Job[uploadJob]) error {
	result, err := u.client.UploadFile(ctx, job.Args.Path, &tus.UploadOptions{Held: tus.HeldFail, CreationLimit: -1})
	var held *tus.HeldError
	switch {
	case errors.As(err, &held):
		return river.JobSnooze(u.remaining(ctx, held))
	case err != nil && ctx.Err() != nil: // the turn is over, or this worker stops
		return river.JobSnooze(0)
	case err == nil:
		log.Printf("%s: %s, sent %d bytes", job.Args.Path, result.URL, result.Stats.Uploaded)
	}
	return err
}

// remaining returns how long the lease of another worker runs. The clock of this machine may
// differ from that of the store.
func (u *uploader) remaining(ctx context.Context, held *tus.HeldError) time.Duration {
	now, err := u.clock.Now(ctx)
	if err != nil {
		return time.Minute
	}
	return max(0, held.Until.Sub(now)) + time.Second
}
