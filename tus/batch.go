package tus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// defaultConcurrency is the number of jobs that UploadAll runs at the same time.
const defaultConcurrency = 4

// Job is one upload of a batch.
type Job struct {
	// Source is the data to upload.
	Source Source
	// URL, if not empty, is the URL of an upload to resume, as in [Client.Resume].
	URL string
	// Options controls the upload; nil means the defaults.
	Options *UploadOptions
	// Tag is any value; it identifies the job of a result ([Result.Job]).
	Tag any
}

// UploadAll uploads jobs concurrently and yields the result of each when it ends, in no
// particular order; the error is nil if the upload is complete, and the result is never nil.
// concurrency is the maximum number of jobs that run at the same time; 0 means 4. Parallel
// parts of a job are not counted: [Options.MaxConnections] limits all requests. The iterator
// that UploadAll returns can be used once.
//
// A job is taken from jobs only when it can start. jobs is called by one goroutine at a
// time, but not the one of the loop: guard data that both use. An iterator that waits for
// jobs should end with ctx.
//
// When ctx ends, running jobs are paused and yield the error of ctx, and no further jobs are
// taken; cancel ctx to end a batch when a job fails. Leaving the loop early pauses the
// running jobs, and waits for them and for jobs: if that may block, cancel ctx first. A panic
// in jobs or in an upload pauses the other uploads, and is repeated in the goroutine of the
// loop.
//
// The hooks of [Job.Options] are called with the [Uploader] of the job, which can be paused
// or aborted from then on; the job then ends with [ErrPaused].
func (c *Client) UploadAll(ctx context.Context, jobs iter.Seq[Job], concurrency int) iter.Seq2[*Result, error] {
	return func(yield func(*Result, error) bool) {
		switch {
		case jobs == nil:
			yield(newResult(), fmt.Errorf("%w: jobs is nil", ErrInvalidInput))
		case concurrency < 0:
			yield(newResult(), fmt.Errorf("%w: negative concurrency: %d", ErrInvalidInput, concurrency))
		default:
			c.uploadAll(ctx, jobs, cmp.Or(concurrency, defaultConcurrency), yield)
		}
	}
}

// errBatchStopped is the cause of the canceled context when a batch is stopped.
var errBatchStopped = errors.New("batch was stopped")

func (c *Client) uploadAll(ctx context.Context, jobs iter.Seq[Job], concurrency int, yield func(*Result, error) bool) {
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
	type ending struct {
		result *Result
		err    error
	}
	endings := make(chan ending)
	var workers sync.WaitGroup
	go func() {
		defer close(endings)
		defer workers.Wait()
		// Each worker starts with a job: there are never more workers than jobs.
		for range concurrency {
			job, ok := draw()
			if !ok {
				break
			}
			workers.Go(func() {
				for ; ok; job, ok = draw() {
					e := ending{newResult(), async.ErrPanicked}
					panics.Run(func() { e.result, e.err = c.uploadJob(ctx, job) })
					e.result.Job = job
					endings <- e
				}
			})
		}
	}()
	defer func() { // also when the loop's body panics
		stop(errBatchStopped)
		for range endings {
		}
		panics.Repanic()
	}()
	for e := range endings {
		if !yield(e.result, e.err) {
			return
		}
	}
}

func (c *Client) uploadJob(ctx context.Context, job Job) (*Result, error) {
	if job.URL != "" {
		return c.Resume(ctx, job.URL, job.Source, job.Options)
	}
	return c.Upload(ctx, job.Source, job.Options)
}
