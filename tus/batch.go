package tus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// defaultBatchFiles is how many uploads of a batch run at the same time.
const defaultBatchFiles = 4

// Job is one upload of a batch.
type Job struct {
	// Source is what is uploaded.
	Source Source
	// URL, if not empty, is that of an upload to resume, as in [Client.Resume].
	URL string
	// Options say how; nil means the defaults.
	Options *UploadOptions
	// Tag is whatever the caller wants to find again in the result.
	Tag any
}

// BatchOptions says how a batch is worked through. The zero value works.
type BatchOptions struct {
	// Concurrency is how many jobs run at the same time; 0 means 4. The jobs'
	// own parallel parts come on top: [Options.MaxConnections] bounds both
	// together.
	Concurrency int

	// StopOnError ends the batch at the first job that fails: those that run are
	// paused, and no further one is begun. Otherwise all jobs have their turn. A job
	// that was paused or aborted by itself has not failed.
	StopOnError bool

	// OnStart, if not nil, is told each job and its [Uploader] right before the job
	// begins, in the goroutine that works on it: those of several jobs may be told at
	// the same time. From then on the Uploader can be looked at, paused and aborted;
	// the job then ends with [ErrPaused], or with [ErrAborted] if it was aborted
	// before it began. When a job has ended without being complete, Run of its
	// Uploader goes on with it, unless it failed. A stream stays open for that, until
	// it is complete, has failed or is aborted.
	OnStart func(Job, *Uploader)
}

// BatchResult is what became of one job.
type BatchResult struct {
	// Job is the job as it was given.
	Job Job
	// Result tells how far the upload came; never nil.
	Result *Result
	// Err is nil if the upload is complete.
	Err error
}

// UploadAll uploads jobs, several at the same time, and yields a result for each
// as it ends, so in no certain order. Jobs are drawn from the iterator only when
// there is room for them, by one goroutine at a time, which is not that of the loop:
// what both use needs a lock. An iterator that waits for jobs should end with ctx.
// When ctx ends, jobs that run are paused and yield the error of ctx; further ones
// are not drawn. A loop that is left early pauses what runs, and waits for it and for
// the iterator: if that may wait, end ctx first. A panic in the iterator or in a job
// pauses the other jobs, and then panics in the goroutine of the loop. opts may be nil.
//
// The iterator can be used once.
func (c *Client) UploadAll(ctx context.Context, jobs iter.Seq[Job], opts *BatchOptions) iter.Seq[BatchResult] {
	var o BatchOptions
	if opts != nil {
		o = *opts
	}
	return func(yield func(BatchResult) bool) {
		if o.Concurrency < 0 || jobs == nil {
			yield(BatchResult{Result: newResult(), Err: fmt.Errorf("%w: %d uploads at the same time of jobs %T", ErrInvalidInput, o.Concurrency, jobs)})
			return
		}
		if o.Concurrency == 0 {
			o.Concurrency = defaultBatchFiles
		}
		c.uploadAll(ctx, jobs, o, yield)
	}
}

// errBatchStopped is why jobs were paused that were not to blame.
var errBatchStopped = errors.New("batch was stopped")

func (c *Client) uploadAll(ctx context.Context, jobs iter.Seq[Job], opts BatchOptions, yield func(BatchResult) bool) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next, end := iter.Pull(jobs)
	defer end()
	panics := async.Panics{Stop: func() { stop(errBatchStopped) }} // of the iterator and of workers
	var turn sync.Mutex                                            // jobs are drawn one at a time
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
		// A worker is begun for a job, so that there are never more than jobs.
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

// uploadJob is Upload with an Uploader that others know.
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
	for err == ErrBusy { // it is being aborted, or was run by the caller
		select {
		case <-u.turn.token:
			u.turn.give()
			err = u.runUntil(ctx, paused)
		case <-ctx.Done():
			err = async.ContextError(ctx)
		}
	}
	if err == nil && paused() { // before it began, where Run would go on
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
