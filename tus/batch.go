package tus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// defaultBatchFiles is the default of BatchOptions.Concurrency.
const defaultBatchFiles = 4

// Job is one upload of a batch.
type Job struct {
	// Source is the data to upload.
	Source Source
	// URL, if not empty, is the URL of an upload to resume, as in [Client.Resume].
	URL string
	// Options controls the upload; nil means the defaults.
	Options *UploadOptions
	// Tag is any value; it identifies the job in the results.
	Tag any
}

// BatchOptions controls a batch. The zero value works.
type BatchOptions struct {
	// Concurrency is the maximum number of jobs that run at the same time; 0 means 4.
	// Parallel parts of a job are not counted: [Options.MaxConnections] limits all requests.
	Concurrency int

	// StopOnError ends the batch when a job fails: the running jobs are paused, and no
	// further one starts. A job whose Uploader was paused or aborted has not failed.
	StopOnError bool

	// OnStart, if non-nil, is called just before each job starts, in the goroutine of the
	// job: calls for several jobs may be concurrent. The Uploader can be paused and aborted
	// from then on; the job then ends with [ErrPaused], or with [ErrAborted] if it was
	// aborted before it started. After a job has ended incomplete, Run of its Uploader
	// resumes it, unless it failed. A stream therefore stays open until its upload is
	// complete, has failed or is aborted.
	OnStart func(Job, *Uploader)
}

// BatchResult is the result of one job.
type BatchResult struct {
	// Job is the job.
	Job Job
	// Result describes the upload; it is never nil.
	Result *Result
	// Err is nil if the upload is complete.
	Err error
}

// UploadAll uploads jobs concurrently and yields the result of each when it ends, in no
// particular order. opts may be nil. The result can be iterated once.
//
// A job is taken from the iterator only when it can start. The iterator is called by one
// goroutine at a time, but not the one of the loop: guard data that both use. An iterator
// that waits for jobs should end with ctx.
//
// When ctx ends, running jobs are paused and yield the error of ctx, and no further jobs are
// taken. Leaving the loop early pauses the running jobs, and waits for them and for the
// iterator: if that may block, cancel ctx first. A panic in the iterator or in a job pauses
// the other jobs, and is repeated in the goroutine of the loop.
func (c *Client) UploadAll(ctx context.Context, jobs iter.Seq[Job], opts *BatchOptions) iter.Seq[BatchResult] {
	var o BatchOptions
	if opts != nil {
		o = *opts
	}
	return func(yield func(BatchResult) bool) {
		err := notNegative("BatchOptions", number{"Concurrency", int64(o.Concurrency)})
		if jobs == nil {
			err = fmt.Errorf("%w: jobs is nil", ErrInvalidInput)
		}
		if err != nil {
			yield(BatchResult{Result: newResult(), Err: err})
			return
		}
		if o.Concurrency == 0 {
			o.Concurrency = defaultBatchFiles
		}
		c.uploadAll(ctx, jobs, o, yield)
	}
}

// errBatchStopped is the cause of the canceled context when a batch is stopped.
var errBatchStopped = errors.New("batch was stopped")

func (c *Client) uploadAll(ctx context.Context, jobs iter.Seq[Job], opts BatchOptions, yield func(BatchResult) bool) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next, end := iter.Pull(jobs)
	defer end()
	panics := async.Panics{Stop: func() { stop(errBatchStopped) }} // of the iterator and of workers
	var turn sync.Mutex                                            // guards next
	draw := func() (job Job, ok bool) {
		turn.Lock()
		defer turn.Unlock()
		if ctx.Err() != nil {
			return Job{}, false
		}
		panics.Run(func() { job, ok = next() })
		return job, ok
	}
	results := make(chan BatchResult)
	var workers sync.WaitGroup
	go func() {
		defer close(results)
		defer workers.Wait()
		// Each worker starts with a job: there are never more workers than jobs.
		for range opts.Concurrency {
			job, ok := draw()
			if !ok {
				break
			}
			workers.Go(func() {
				for ; ok; job, ok = draw() {
					result, err := newResult(), async.ErrPanicked
					panics.Run(func() { result, err = c.uploadJob(ctx, job, opts.OnStart) })
					if opts.StopOnError && err != nil && err != ErrPaused && !wasAborted(err) {
						stop(errBatchStopped)
					}
					results <- BatchResult{Job: job, Result: result, Err: err}
				}
			})
		}
	}()
	defer func() { // also when the loop's body panics
		stop(errBatchStopped)
		for range results {
		}
		panics.Repanic()
	}()
	for r := range results {
		if !yield(r) {
			return
		}
	}
}

// uploadJob uploads a job. started may pass its Uploader to other goroutines.
func (c *Client) uploadJob(ctx context.Context, job Job, started func(Job, *Uploader)) (*Result, error) {
	u, err := c.jobUploader(job)
	if started == nil {
		return upload(ctx, u, err)
	}
	if err != nil {
		return newResult(), err
	}
	started(job, u)
	paused := func() bool { return u.State() == StatePaused }
	err = u.runUntil(ctx, paused)
	for err == ErrBusy { // another goroutine aborts or runs it
		if err = u.driving.acquire(ctx); err == nil {
			u.driving.release()
			err = u.runUntil(ctx, paused)
		}
	}
	if err == nil && paused() { // before it started
		err = ErrPaused
	}
	return u.result(), err
}

func (c *Client) jobUploader(job Job) (*Uploader, error) {
	if job.URL != "" {
		return c.NewResumer(job.URL, job.Source, job.Options)
	}
	return c.NewUploader(job.Source, job.Options)
}
