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
)

// ErrClosed is returned when a Pipeline is used after Close.
var ErrClosed = errors.New("pipeline is closed")

// maxAhead is the largest number of look-aheads.
const maxAhead = 8

// Pipeline computes the checksums of ranges of a source ahead of time. A sender calls
// Ahead for a chunk and the following ones, calls Sum for that chunk, and sends it. The
// following chunks are hashed while the chunk is sent.
//
// A Pipeline reads and hashes one range at a time. While a Sum waits, and so nothing is
// sent, it hashes a second range on another processor, unless reading is slower than
// hashing. A Pipeline holds two hashes and two buffers of at most 256 KiB.
//
// All methods are safe for concurrent use. A Pipeline must be closed.
type Pipeline struct {
	algorithm checksum.Algorithm
	open      func(ctx context.Context, offset int64) (io.ReadCloser, error)

	mu      sync.Mutex
	ahead   []*job // adjacent look-aheads that no Sum has taken
	queue   []*job // look-aheads that are not started, including those taken by a Sum
	waiters int    // number of calls of Sum that wait
	speed   speed
	closed  bool
	closing chan struct{} // closed by Close
	jobs    sync.WaitGroup

	first, second hasher // the second works while a Sum waits, or in place of the first
}

// job is the computation of one checksum.
type job struct {
	offset, size int64
	ctx          context.Context
	cancel       context.CancelFunc
	awaited      bool // a Sum waits for it; guarded by Pipeline.mu

	done chan struct{} // closed when sum and err are set
	sum  []byte
	err  error

	panicked any // what the source panicked with
}

// New returns a Pipeline that reads the source with open. open is called once
// for each range that is hashed, and returns a reader that starts at offset. Two
// readers may be in use at once.
//
// Each reader is closed exactly once. If the context of a call is done, or the Pipeline
// is closed, Close may be called during Read, as net/http does with request bodies. The
// readers must not affect the reader from which the chunk is sent: a source that
// supports only one reader cannot be used.
func New(algorithm checksum.Algorithm, open func(ctx context.Context, offset int64) (io.ReadCloser, error)) *Pipeline {
	return &Pipeline{
		algorithm: algorithm,
		open:      open,
		closing:   make(chan struct{}),
		first:     hasher{sem: make(chan struct{}, 1)},
		second:    hasher{sem: make(chan struct{}, 1)},
	}
}

// Sum returns the checksum of size bytes at offset. If [Pipeline.Ahead] was called for
// exactly that range, Sum waits for its result and drops the look-aheads before it;
// otherwise it cancels all look-aheads. The result of a look-ahead is used once, so
// calling Sum again reads the source again. The caller may keep and change the result.
//
// The error matches [io.ErrUnexpectedEOF] if the source ends within the range, or
// [ErrClosed], or is that of the source or ctx. If the source panics, Sum panics with the same value. When ctx is done, Sum
// returns at once, even if the source hangs in a read. Other ranges wait until that read
// returns.
func (p *Pipeline) Sum(ctx context.Context, offset, size int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j, err := p.take(ctx, offset, size)
	if err != nil {
		return nil, err
	}
	defer p.abandon(j)
	select {
	case <-j.done:
		if j.panicked != nil { // panic in the caller's goroutine, which may recover
			panic(j.panicked)
		}
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
	j := newJob(context.WithoutCancel(ctx), offset, size)
	p.ahead, p.queue = append(p.ahead, j), append(p.queue, j)
	if !p.first.working && !p.second.working {
		p.start(&p.first)
	}
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

// take returns the look-ahead for a range, or starts a new job.
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
		p.addWaiter(j)
		return j, nil
	}
	p.dropAhead(len(p.ahead))
	j := newJob(ctx, offset, size)
	p.addWaiter(j)
	p.jobs.Go(func() { p.do(&p.first, j) })
	return j, nil
}

// addWaiter records that a Sum waits for a job. The caller must hold p.mu.
func (p *Pipeline) addWaiter(j *job) {
	j.awaited = true
	p.waiters++
}

// removeWaiter records that no Sum waits for a job. The caller must hold p.mu.
func (p *Pipeline) removeWaiter(j *job) {
	if j.awaited {
		j.awaited = false
		p.waiters--
	}
}

// abandon cancels a job and records that no Sum waits for it.
func (p *Pipeline) abandon(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeWaiter(j)
	j.cancel()
}

func newJob(ctx context.Context, offset, size int64) *job {
	ctx, cancel := context.WithCancel(ctx)
	return &job{offset: offset, size: size, ctx: ctx, cancel: cancel, done: make(chan struct{})}
}

// dropAhead cancels the first n look-aheads. The caller must hold p.mu.
func (p *Pipeline) dropAhead(n int) {
	for _, j := range p.ahead[:n] {
		j.cancel()
	}
	p.ahead = slices.Delete(p.ahead, 0, n)
	p.queue = slices.DeleteFunc(p.queue, func(j *job) bool { return j.ctx.Err() != nil })
}

func (j *job) covers(offset, size int64) bool { return j.offset == offset && j.size == size }
