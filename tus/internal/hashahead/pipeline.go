// Package hashahead computes checksums of the next ranges of a source while the current
// one is sent.
package hashahead

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// ErrClosed is returned when a Pipeline is used after Close.
var ErrClosed = errors.New("pipeline is closed")

const (
	// maxAhead is the largest number of look-aheads.
	maxAhead = 8
	// maxRunning is the number of ranges that are hashed at the same time: most algorithms
	// are slower than a fast network.
	maxRunning = 2
)

// Pipeline computes the checksums of ranges of a source ahead of time. A sender calls
// Ahead for a chunk and the following ones, calls Sum for that chunk, and sends it. The
// following chunks are hashed while the chunk is sent.
//
// A Pipeline reads and hashes two ranges at a time. It holds two hashes and two buffers of
// at most 256 KiB.
//
// All methods are safe for concurrent use. A Pipeline must be closed.
type Pipeline struct {
	algorithm checksum.Algorithm
	open      openFunc

	mu      sync.Mutex
	ahead   []*job // adjacent look-aheads that no Sum has taken
	queue   []*job // jobs that are not started
	running int    // number of started jobs
	closed  bool
	closing chan struct{} // closed by Close
	jobs    sync.WaitGroup
	idle    []*hasher    // that no job uses
	dropped async.Panics // of canceled jobs; the next Sum repeats it
}

// openFunc opens the source at an offset.
type openFunc = func(ctx context.Context, offset int64) (io.ReadCloser, error)

// job is the computation of one checksum.
type job struct {
	offset, size int64
	ctx          context.Context
	cancel       context.CancelFunc

	done   chan struct{} // closed when the fields below are set
	sum    []byte
	err    error
	panics async.Panics // of the source
}

// New returns a Pipeline that reads the source with open. open is called once for each
// range that is hashed, and returns a reader that starts at offset. Two readers may be in
// use at the same time.
//
// Each reader is closed exactly once. If the context of a call is done, or the Pipeline
// is closed, Close may be called during Read, as net/http does with request bodies. The
// readers must not affect the reader from which the chunk is sent: a source that
// supports only one reader cannot be used.
func New(algorithm checksum.Algorithm, open func(ctx context.Context, offset int64) (io.ReadCloser, error)) *Pipeline {
	return &Pipeline{algorithm: algorithm, open: open, closing: make(chan struct{})}
}

// Sum returns the checksum of size bytes at offset. If [Pipeline.Ahead] was called for
// exactly that range, Sum waits for its result and drops the look-aheads before it;
// otherwise it cancels all look-aheads. The result of a look-ahead is used once, so
// calling Sum again reads the source again. The caller may keep and change the result.
//
// The error matches [io.ErrUnexpectedEOF] if the source ends within the range, or
// [ErrClosed], or is that of the source or ctx. If the source panics, Sum panics with the
// same value; if it panicked in a range that was canceled, the next Sum does. When ctx is
// done, Sum returns at once, even if the source hangs in a read. Other ranges may wait until
// that read returns.
func (p *Pipeline) Sum(ctx context.Context, offset, size int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j, err := p.take(ctx, offset, size)
	if err != nil {
		return nil, err
	}
	defer j.cancel()
	p.repeatDropped()
	select {
	case <-j.done:
		j.panics.Repanic()
		return j.sum, j.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closing:
		return nil, ErrClosed
	}
}

// Ahead starts computing the checksum of size bytes at offset, for a later
// [Pipeline.Sum], which returns its errors. The queue holds at most 8 adjacent ranges.
// A range that does not start at the end of the last one replaces the whole queue. If
// the source changes after the look-ahead, the checksum is that of the old content; the
// sender must detect such changes.
//
// The source is opened with the values of ctx. The end of ctx does not cancel the
// look-ahead; a Sum of another range and Close do.
//
// Ahead returns true if the range is in the queue, and false if the queue is full or
// the Pipeline is closed.
func (p *Pipeline) Ahead(ctx context.Context, offset, size int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if slices.ContainsFunc(p.ahead, func(j *job) bool { return j.covers(offset, size) }) {
		return true
	}
	if n := len(p.ahead); n > 0 {
		last := p.ahead[n-1]
		switch end := last.offset + last.size; {
		case n == maxAhead && offset >= end:
			return false
		case offset != end:
			p.dropAhead(n)
		}
	}
	p.ahead = append(p.ahead, p.enqueue(context.WithoutCancel(ctx), offset, size))
	return true
}

// Close cancels all look-aheads, makes waiting calls of Sum return [ErrClosed], and waits
// until every reader is closed. It blocks while a Read hangs after its reader was closed.
// Close may be called more than once. The error is always nil.
func (p *Pipeline) Close() error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.closing)
		p.dropAhead(len(p.ahead))
	}
	p.mu.Unlock()
	p.jobs.Wait()
	return nil
}

// take returns the look-ahead for a range, or a new job.
func (p *Pipeline) take(ctx context.Context, offset, size int64) (*job, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if i := slices.IndexFunc(p.ahead, func(j *job) bool { return j.covers(offset, size) }); i >= 0 {
		j := p.ahead[i]
		p.dropAhead(i)
		p.ahead = slices.Delete(p.ahead, 0, 1)
		return j, nil
	}
	p.dropAhead(len(p.ahead))
	return p.enqueue(ctx, offset, size), nil
}

// dropAhead cancels the first n look-aheads. The caller must hold p.mu.
func (p *Pipeline) dropAhead(n int) {
	for _, j := range p.ahead[:n] {
		j.cancel()
		j.panics.MoveTo(&p.dropped)
	}
	p.ahead = slices.Delete(p.ahead, 0, n)
}

// repeatDropped repeats a panic of a canceled job once.
func (p *Pipeline) repeatDropped() {
	var panics async.Panics
	p.dropped.MoveTo(&panics)
	panics.Repanic()
}

func (j *job) covers(offset, size int64) bool { return j.offset == offset && j.size == size }

// enqueue adds a job to the queue. The caller must hold p.mu.
func (p *Pipeline) enqueue(ctx context.Context, offset, size int64) *job {
	ctx, cancel := context.WithCancel(ctx)
	j := &job{offset: offset, size: size, ctx: ctx, cancel: cancel, done: make(chan struct{})}
	p.queue = append(p.queue, j)
	p.start()
	return j
}

// start starts queued jobs. The caller must hold p.mu.
func (p *Pipeline) start() {
	p.queue = slices.DeleteFunc(p.queue, func(j *job) bool { return j.ctx.Err() != nil })
	for p.running < maxRunning && len(p.queue) > 0 {
		next, h := p.queue[0], &hasher{algorithm: p.algorithm}
		p.queue = slices.Delete(p.queue, 0, 1)
		if n := len(p.idle); n > 0 {
			h, p.idle = p.idle[n-1], p.idle[:n-1]
		}
		p.running++
		p.jobs.Go(func() { p.run(next, h) })
	}
}

// run computes the checksum of a job and then starts the next job.
func (p *Pipeline) run(j *job, h *hasher) {
	defer func() { // also after runtime.Goexit in the source
		p.mu.Lock()
		defer p.mu.Unlock()
		if j.ctx.Err() != nil {
			j.panics.MoveTo(&p.dropped)
		}
		close(j.done)
		p.running--
		p.idle = append(p.idle, h)
		p.start()
	}()
	j.err = async.ErrPanicked // if compute does not return
	j.panics.Run(func() { j.sum, j.err = h.compute(j, p.open) })
}
