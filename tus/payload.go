package tus

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// checksumTrailer makes the checksum of a body follow it (protocol section
// Checksum, extension checksum-trailer).
type checksumTrailer struct {
	algorithm checksum.Algorithm
	sum       []byte // of the body that was sent to its end last
}

// payload opens the bodies of one request and remembers the one in use. A transport
// may ask for another one to look at it first, as those do that sign what they send.
type payload struct {
	client  *Client
	request *request
	stall   *stallTimer
	trailer http.Header   // that the checksum goes into; nil for none
	panics  *async.Panics // of what a transport calls in a goroutine of its own

	mu      sync.Mutex // a transport may ask for a body from its own goroutine
	current *body      // that was begun last
	waiting []*body    // that nobody has begun to read
	stopped bool       // no other is opened
}

func (p *payload) open(ctx context.Context) (io.ReadCloser, error) {
	if p.over() {
		return nil, errBodyStopped
	}
	b := p.request.payload(ctx)
	b.panics, b.stall = p.panics, p.stall
	b.begun = func() { p.begin(b) }
	limits := slices.DeleteFunc([]Limiter{p.client.limiter, b.limit}, func(l Limiter) bool { return l == nil })
	if len(limits) > 0 {
		b.throttle = func(n int) (int, error) {
			defer p.stall.pause()()
			return waitForAll(ctx, limits, n)
		}
	}
	if err := b.open(); err != nil {
		return nil, err
	}
	if !p.add(b) {
		b.stop()
		return nil, errBodyStopped
	}
	// From here on stop closes it, also after a panic.
	if trailer := p.request.trailer; trailer != nil {
		b.sum = trailer.algorithm.New()
		b.done = func(sum []byte) {
			trailer.sum = sum
			p.trailer.Set(headerUploadChecksum, checksum.FormatHeader(trailer.algorithm.Name, sum))
		}
	}
	meter := p.request.meter
	b.moved = func(n int) {
		defer p.stall.sent(b.left == 0)()
		meter.moved(n)
	}
	return b, nil
}

func (p *payload) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped
}

// add is false if the request is over.
func (p *payload) add(b *body) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	p.waiting = append(p.waiting, b)
	return true
}

// reopen is open for a transport.
func (p *payload) reopen(ctx context.Context) (b io.ReadCloser, err error) {
	if !p.panics.Run(func() { b, err = p.open(ctx) }) {
		return nil, errBodyStopped
	}
	return b, err
}

// waitForAll waits until all limits let some of n bytes pass, and returns how many.
func waitForAll(ctx context.Context, limits []Limiter, n int) (int, error) {
	for _, limit := range limits {
		n = min(n, max(1, limit.Burst()))
	}
	for _, limit := range limits {
		if err := limit.WaitN(withoutDeadline{ctx}, n); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// begin makes b the body in use, and ends the one that was: what left of that does
// not count any more. A transport may come late, when the request is over.
func (p *payload) begin(b *body) {
	if before := p.use(b); before != nil {
		before.stop()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !b.over() {
		p.request.meter.begin(b.offset)
	}
}

// use returns the body that was in use.
func (p *payload) use(b *body) (before *body) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.over() {
		return nil
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(other *body) bool { return other == b })
	before, p.current = p.current, b
	return before
}

func (p *payload) stop() {
	p.mu.Lock()
	p.stopped = true
	bodies := p.waiting
	if p.current != nil {
		bodies = append(slices.Clip(bodies), p.current)
	}
	p.mu.Unlock()
	for _, b := range bodies { // which may wait for the source, so without the lock
		b.stop()
	}
}

func (p *payload) sent() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return 0
	}
	return p.current.sent()
}

func (p *payload) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return nil
	}
	return p.current.failure()
}
