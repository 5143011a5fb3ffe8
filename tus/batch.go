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

	counter *BatchCounter // nil if the job is not counted
}

// UploadAll uploads jobs concurrently and yields the result of each when it ends, in no
// particular order; the error is nil if the upload is complete, and the result is never nil.
// concurrency is the maximum number of jobs that run at the same time; 0 means 4. Parallel
// parts of a job are not counted: [Options.MaxConnections] limits all requests. The iterator
// that UploadAll returns can be used once. [DirJobs] and [FileJobs] return jobs, and a
// [BatchCounter] measures the progress.
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

// batch is one call of UploadAll.
type batch struct {
	client  *Client
	results chan batchResult
	panics  async.Panics // of the iterator and of workers

	turn sync.Mutex // guards next
	next func() (Job, bool)
}

type batchResult struct {
	result *Result
	err    error
}

func (c *Client) uploadAll(ctx context.Context, jobs iter.Seq[Job], concurrency int, yield func(*Result, error) bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := func() { cancel(errBatchStopped) }
	next, end := iter.Pull(jobs)
	defer end()
	b := &batch{client: c, results: make(chan batchResult), panics: async.Panics{Stop: stop}, next: next}
	go b.run(ctx, concurrency)
	defer func() { // also when the loop's body panics
		stop()
		for range b.results {
		}
		b.panics.Repanic()
	}()
	for r := range b.results {
		if !yield(r.result, r.err) {
			return
		}
	}
}

// run uploads the jobs. Each worker starts with a job: there are never more workers than
// jobs.
func (b *batch) run(ctx context.Context, concurrency int) {
	defer close(b.results)
	var workers sync.WaitGroup
	defer workers.Wait()
	for range concurrency {
		job, ok := b.draw(ctx)
		if !ok {
			break
		}
		workers.Go(func() {
			for ; ok; job, ok = b.draw(ctx) {
				b.results <- b.upload(ctx, job)
			}
		})
	}
}

// draw returns the next job.
func (b *batch) draw(ctx context.Context) (job Job, ok bool) {
	b.turn.Lock()
	defer b.turn.Unlock()
	if ctx.Err() != nil {
		return Job{}, false
	}
	b.panics.Run(func() { job, ok = b.next() })
	return job, ok
}

func (b *batch) upload(ctx context.Context, job Job) batchResult {
	r := batchResult{newResult(), async.ErrPanicked}
	item, opts := job.counter.start(job.Options)
	b.panics.Run(func() {
		if job.URL != "" {
			r.result, r.err = b.client.Resume(ctx, job.URL, job.Source, opts)
		} else {
			r.result, r.err = b.client.Upload(ctx, job.Source, opts)
		}
	})
	item.end(ctx, r.result, r.err)
	r.result.Job = job
	return r
}
