// Package send sends the bytes of a source as the body of a request. The kernel sends files,
// limiters limit the rate, and a timer cuts a request that stalls.
package send

import (
	"context"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// Payload is the range of a source that a request sends.
type Payload struct {
	Offset, Size int64
	// Open returns a reader at Offset. It is closed when the request is over.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// ToEnd is set if the source ends with the payload. More bytes are then an error.
	ToEnd bool
	// Memory is set if the reader reads memory that is reused after the request. The
	// request then waits for a Read in flight, which does not block.
	Memory bool
	// Limit, if not nil, limits the rate, in addition to Bodies.Limit.
	Limit Limiter
	// Verify, if not nil, is called before the last bytes are sent. If it fails, they are
	// not sent, so that the server does not complete the upload of a changed source.
	Verify func(ctx context.Context) error
	// Passed, if not nil, is called after n bytes at offset were read for the request, with
	// the bytes, or nil if the kernel sent them. Retries and further bodies repeat bytes. It
	// must return soon, and not keep data.
	Passed func(offset int64, n int, data []byte)
}

// SizeError is returned for a source whose size differs from the expected one.
type SizeError struct {
	Offset  int64 // at which the source ended, or should have ended
	Missing int64 // bytes from there to the expected end; 0 if the source has more bytes
}

// Error returns where the source ended.
func (e *SizeError) Error() string {
	if e.Missing == 0 {
		return "it has grown"
	}
	return fmt.Sprintf("it ended at byte %d, %d bytes early", e.Offset, e.Missing)
}

// Limiter limits the rate at which bytes are sent.
type Limiter interface {
	// WaitN blocks until n bytes may be sent, or ctx ends.
	WaitN(ctx context.Context, n int) error
	// Burst returns the largest n that WaitN accepts now, at least 1.
	Burst() int
}

// withoutDeadline is a context without its deadline: a limiter refuses at once what it
// cannot permit before the deadline, but the upload should use the remaining time.
type withoutDeadline struct{ context.Context }

func (withoutDeadline) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Bodies opens the bodies of one request, one of which is in use. A transport may open
// several bodies before it reads one, for example to sign the request.
type Bodies struct {
	Payload *Payload
	Limit   Limiter       // of all payloads together; nil for none
	Stall   *StallTimer   // paused while the request waits for the source or a limit
	Panics  *async.Panics // of all functions below, the source and the limits
	// SourceError wraps the errors of the source, which may be a *SizeError.
	SourceError func(error) error
	// Begun is called when the transport starts to read a body, and Moved after each n
	// bytes that it read.
	Begun func(offset int64)
	Moved func(n int)
	// Hash, if not nil, returns the hash for the bytes of a body. Sum is called with the
	// result before the transport reads the end of the body.
	Hash func() hash.Hash
	Sum  func(sum []byte)

	mu      sync.Mutex // a transport may call Open in its own goroutine
	current *body      // in use
	waiting []*body    // not read yet
	stopped bool       // no more bodies are opened
}

// Open waits until the limits permit the first bytes, and opens a body.
func (b *Bodies) Open(ctx context.Context) (r io.ReadCloser, err error) {
	if !b.Panics.Run(func() { r, err = b.open(ctx) }) {
		return nil, errStopped
	}
	return r, err
}

func (b *Bodies) open(ctx context.Context) (io.ReadCloser, error) {
	if b.over() {
		return nil, errStopped
	}
	opened := newBody(ctx, b)
	if err := opened.open(); err != nil {
		return nil, err
	}
	if !b.add(opened) {
		opened.stop()
		return nil, errStopped
	}
	return opened, nil // Stop closes it, also after a panic
}

func (b *Bodies) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopped
}

// add adds a body, unless the request is over.
func (b *Bodies) add(opened *body) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false
	}
	b.waiting = append(b.waiting, opened)
	return true
}

// begin makes next the body in use and stops the previous one, whose bytes no longer
// count. A transport may start to read after the request is over.
func (b *Bodies) begin(next *body) {
	if previous := b.use(next); previous != nil {
		previous.stop()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !next.over() {
		b.Begun(next.offset)
	}
}

// use makes next the body in use and returns the previous one.
func (b *Bodies) use(next *body) (previous *body) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if next.over() {
		return nil
	}
	b.waiting = slices.DeleteFunc(b.waiting, func(other *body) bool { return other == next })
	previous, b.current = b.current, next
	return previous
}

// Stop stops all bodies: bytes that the transport reads later do not count. No more bodies
// are opened.
func (b *Bodies) Stop() {
	b.mu.Lock()
	b.stopped = true
	bodies := slices.Clone(b.waiting) // use changes it
	if b.current != nil {
		bodies = append(bodies, b.current)
	}
	b.mu.Unlock()
	for _, opened := range bodies { // without the lock, as stop may wait for the source
		opened.stop()
	}
}

// Result returns how many bytes of the body in use the transport has read, and the error of
// the source or of Payload.Verify that ended it, nil if there is none.
func (b *Bodies) Result() (sent int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current == nil {
		return 0, nil
	}
	b.current.mu.Lock()
	defer b.current.mu.Unlock()
	return b.current.counted, b.current.err
}
