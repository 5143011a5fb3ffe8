package checksum

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
)

// maxAhead is how many ranges there are at most that nobody asked for yet.
const maxAhead = 8

// Pipeline computes the checksums of ranges of a source, the next ones ahead of
// time. A sender calls Ahead for a chunk and the ones after it, asks for the
// checksum of that chunk, and sends: while the chunk is on the wire, the next ones
// are hashed.
//
// One range is read and hashed at a time. While a Sum waits, and so nothing is
// sent, a second one is begun on another processor, unless the time goes into
// reading. A Pipeline holds two hashes and two buffers of at most 256 KiB.
//
// All methods may be called concurrently. A Pipeline must be closed.
type Pipeline struct {
	algorithm Algorithm
	open      func(ctx context.Context, offset int64) (io.ReadCloser, error)

	mu      sync.Mutex
	ahead   []*job // look-aheads that nobody asked for yet, each begins where the one before ends
	waiting []*job // look-aheads that are not begun, perhaps asked for already
	asking  int    // calls of Sum that wait
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
	asked        bool // a Sum waits for it; guarded by Pipeline.mu

	done chan struct{} // closed when sum and err are set
	sum  []byte
	err  error

	panicked any // what the source panicked with
}

// NewPipeline returns a Pipeline that reads the source through open, which is
// called once for each range that is hashed. Two readers may be in use at once.
//
// The reader starts at offset and is closed exactly once. If the context of a
// call ends, or the pipeline is closed, that may happen while Read runs, as
// net/http does it with request bodies. It must not disturb the reader that the
// chunk is sent from: a source that can have only one reader cannot be hashed
// ahead.
func NewPipeline(algorithm Algorithm, open func(ctx context.Context, offset int64) (io.ReadCloser, error)) *Pipeline {
	return &Pipeline{
		algorithm: algorithm,
		open:      open,
		closing:   make(chan struct{}),
		first:     hasher{turn: make(chan struct{}, 1)},
		second:    hasher{turn: make(chan struct{}, 1)},
	}
}

// Sum returns the checksum of size bytes from offset. If [Pipeline.Ahead] was
// called for exactly that range, it takes that result, or waits for it, and
// forgets the ranges before it; otherwise every look-ahead is given up. A
// look-ahead serves once, so asking again reads the source again. The caller may
// keep and change the result.
//
// The error matches [io.ErrUnexpectedEOF] if the source ends within the range,
// [ErrInvalidRange], [ErrInvalidAlgorithm], [ErrClosed], or is that of the
// source or the context. What the source panics with, Sum does. When ctx ends, Sum
// returns at once, even if the source hangs in a read. Until that read returns,
// other ranges have to wait.
func (p *Pipeline) Sum(ctx context.Context, offset, size int64) ([]byte, error) {
	if err := p.check(offset, size); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, wrap(err)
	}
	j, err := p.take(ctx, offset, size)
	if err != nil {
		return nil, err
	}
	defer p.leave(j)
	select {
	case <-j.done:
		if j.panicked != nil { // in the caller's goroutine, who may recover from it
			panic(j.panicked)
		}
		return j.sum, j.err
	case <-ctx.Done():
		return nil, wrap(ctx.Err())
	case <-p.closing:
		return nil, wrap(ErrClosed)
	}
}

// Ahead starts computing the checksum of size bytes from offset, for a later
// [Pipeline.Sum] that reports what goes wrong. Ranges that follow one another wait
// in a queue of at most 8; one that does not follow the last takes the place of
// all. The source may change between the look-ahead and the sending of the chunk,
// which is for the sender to notice.
//
// The source is opened with the values of ctx. That ctx ends changes nothing:
// another Sum, or Close, ends a look-ahead.
//
// Ahead reports whether the range is in the queue now, or was before: false if the
// queue is full, the range is none, or the pipeline is closed.
func (p *Pipeline) Ahead(ctx context.Context, offset, size int64) bool {
	if p.check(offset, size) != nil {
		return false
	}
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
	p.ahead, p.waiting = append(p.ahead, j), append(p.waiting, j)
	if !p.first.working && !p.second.working {
		p.start(&p.first)
	}
	return true
}

// Close stops all work, makes calls of Sum that wait return [ErrClosed], and
// waits until every reader is closed. A source that hangs in a read although it
// was closed delays Close. More than one call is allowed.
func (p *Pipeline) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.closing)
		p.dropAhead(len(p.ahead))
	}
	p.mu.Unlock()
	p.jobs.Wait()
}

// check accepts what can be asked for.
func (p *Pipeline) check(offset, size int64) error {
	if p.algorithm.New == nil {
		return wrap(fmt.Errorf("%w: %s has no New function", ErrInvalidAlgorithm, quote(p.algorithm.Name)))
	}
	if offset < 0 || size < 0 || offset > math.MaxInt64-size {
		return wrap(fmt.Errorf("%w: %d bytes from %d", ErrInvalidRange, size, offset))
	}
	return nil
}

// take returns the job for a range: a look-ahead if there is one, else a new one.
func (p *Pipeline) take(ctx context.Context, offset, size int64) (*job, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, wrap(ErrClosed)
	}
	if i := slices.IndexFunc(p.ahead, func(j *job) bool { return j.covers(offset, size) }); i >= 0 {
		j := p.ahead[i]
		p.dropAhead(i)
		p.ahead = slices.Delete(p.ahead, 0, 1)
		p.ask(j)
		return j, nil
	}
	p.dropAhead(len(p.ahead))
	j := newJob(ctx, offset, size)
	p.ask(j)
	p.jobs.Go(func() { p.do(&p.first, j) })
	return j, nil
}

// ask notes that a Sum waits for a job. It needs p.mu.
func (p *Pipeline) ask(j *job) {
	j.asked = true
	p.asking++
}

// answered notes that no Sum waits for a job any more. It needs p.mu.
func (p *Pipeline) answered(j *job) {
	if j.asked {
		j.asked = false
		p.asking--
	}
}

// leave ends the wait for a job, and the job if it is not done.
func (p *Pipeline) leave(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered(j)
	j.cancel()
}

func newJob(ctx context.Context, offset, size int64) *job {
	ctx, cancel := context.WithCancel(ctx)
	return &job{offset: offset, size: size, ctx: ctx, cancel: cancel, done: make(chan struct{})}
}

// dropAhead gives up the first n look-aheads. It needs p.mu.
func (p *Pipeline) dropAhead(n int) {
	for _, j := range p.ahead[:n] {
		j.cancel()
	}
	p.ahead = slices.Delete(p.ahead, 0, n)
	p.waiting = slices.DeleteFunc(p.waiting, func(j *job) bool { return j.ctx.Err() != nil })
}

func (j *job) covers(offset, size int64) bool { return j.offset == offset && j.size == size }
