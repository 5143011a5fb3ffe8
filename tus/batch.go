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
	// Options controls the upload; nil means the defaults.
	Options *UploadOptions
	// Tag is any value of the caller, to find the job in the results.
	Tag any
}

// BatchOptions controls a batch. The zero value works.
type BatchOptions struct {
	// Concurrency is the maximum number of jobs that run at the same time; 0 means 4.
	// Parallel parts of a job are not counted: [Options.MaxConnections] limits all requests.
	Concurrency int

	// StopOnError ends the batch when a job fails: the running jobs are paused, and no
	// further one begins. A job that was paused or aborted by itself has not failed.
	StopOnError bool

	// OnStart, if not nil, is called with each job and its [Uploader] just before the job
	// begins, in the goroutine of the job: calls for several jobs may be concurrent. From
	// then on the Uploader can be paused and aborted; the job then ends with [ErrPaused],
	// or with [ErrAborted] if it was aborted before it began. After a job has ended
	// incomplete, Run of its Uploader resumes it, unless it failed. A stream stays open for
	// that, until it is complete, has failed or is aborted.
	OnStart func(Job, *Uploader)
}

// BatchResult is the result of one job.
type BatchResult struct {
	// Job is the job.
	Job Job
	// Result is that of the upload; never nil.
	Result *Result
	// Err is nil if the upload is complete.
	Err error
}

// UploadAll uploads jobs, several at the same time, and yields the result of each when it
// ends, in no certain order. Jobs are drawn from the iterator only when there is room for
// them, by one goroutine at a time, which is not that of the loop: what both use needs a
// lock. An iterator that waits for jobs should end with ctx. When ctx ends, running jobs are
// paused and yield the error of ctx; further ones are not drawn. Leaving the loop early
// pauses the running jobs, and waits for them and for the iterator: if that may block, end
// ctx first. A panic in the iterator or in a job pauses the other jobs, and then panics in
// the goroutine of the loop. opts may be nil.
//
// The result can be iterated once.
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

// errBatchStopped is the cause of the pause of jobs that did not fail.
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
		// Each worker starts with a job, so that there are never more workers than jobs.
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

// uploadJob uploads a job. OnStart may give its Uploader to other goroutines.
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
	if err == nil && paused() { // before it began
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
