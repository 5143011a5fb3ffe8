package send

import (
	"context"
	"errors"
	"hash"
	"io"
	"os"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

// body is one body of a request. If it is a file, the kernel sends it on the connections of
// NewTransport (see conn.ReadFrom). Other transports read it.
type body struct {
	bodies *Bodies
	ctx    context.Context
	limits []Limiter
	src    io.ReadCloser
	file   *os.File  // src, if the kernel can send it
	sum    hash.Hash // of all bytes that are read; nil for none

	// For the reading goroutine only.
	offset   int64 // in the source, of the next byte
	left     int64
	granted  int       // bytes that the limits permit, and that are not read yet
	lastRead time.Time // when the transport last called Read

	beginning sync.Once
	reading   sync.Mutex // held during a Read of src
	closing   sync.Once
	closeErr  chan error // receives the error of closing src

	mu      sync.Mutex
	phase   phase
	closed  bool        // src is closed
	counted int64       // bytes that the transport has read
	sending *kernelSend // nil if the kernel sends nothing
	err     error       // first error of the source
}

// phase is the phase of a body.
type phase int

const (
	running  phase = iota
	stopping       // the request is over: no more bytes are sent
	stopped        // no more bytes are counted
)

func newBody(ctx context.Context, bodies *Bodies) *body {
	b := &body{bodies: bodies, ctx: ctx, offset: bodies.Payload.Offset, left: bodies.Payload.Size, closeErr: make(chan error, 1)}
	for _, limit := range []Limiter{bodies.Limit, bodies.Payload.Limit} {
		if limit != nil {
			b.limits = append(b.limits, limit)
		}
	}
	if bodies.Hash != nil {
		b.sum = bodies.Hash()
	}
	return b
}

// firstBytes is how many bytes the limits must permit before the source is opened. A file
// is not open while the upload waits for its first byte.
const firstBytes = 32 << 10

// open waits until the limits permit the first bytes, and opens the source.
func (b *body) open() (err error) {
	if err := b.waitForLimits(int(min(b.left, firstBytes))); err != nil {
		return err
	}
	release := b.bodies.Stall.Pause()
	b.src, err = b.bodies.Payload.Open(b.ctx)
	release()
	if err != nil {
		return b.bodies.SourceError(err)
	}
	b.file, _ = b.src.(*os.File)
	return nil
}

// errStopped is returned to a transport that reads after its request is over.
var errStopped = errors.New("request is over")

func (b *body) Read(p []byte) (n int, err error) {
	if !b.bodies.Panics.Run(func() { n, err = b.readNext(p) }) {
		return 0, errStopped
	}
	return n, err
}

func (b *body) readNext(p []byte) (int, error) {
	b.begin()
	n, err := b.permitted(b.readSize(len(p)))
	if err != nil || n == 0 {
		return 0, err
	}
	n, err = b.read(p[:n])
	if over := b.advance(int64(n), running); over != nil {
		return 0, over
	}
	return n, err
}

// begin is called before the first byte is read.
func (b *body) begin() {
	b.beginning.Do(func() { b.bodies.begin(b) })
}

const (
	// slowRead is the time between two reads above which the link is slow: the stall timer
	// then needs smaller reads to see bytes move.
	slowRead = time.Second
	// slowReadSize is the size of a read on a slow link.
	slowReadSize = 4 << 10
)

// readSize reduces the size n of a Read on a slow link.
func (b *body) readSize(n int) int {
	last := b.lastRead
	b.lastRead = time.Now()
	if !last.IsZero() && b.lastRead.Sub(last) > slowRead {
		return min(n, slowReadSize)
	}
	return n
}

// read is one non-empty read of the source. It returns the last bytes only after the source
// was verified.
func (b *body) read(p []byte) (int, error) {
	n, err := b.readSource(p)
	if err != nil || int64(n) < b.left {
		return n, err
	}
	if err := b.verify(); err != nil { // without the lock, as it may hang
		return 0, err
	}
	if b.sum != nil && !b.reportSum(b.sum.Sum(nil)) {
		return 0, errStopped
	}
	return n, nil
}

// verify calls Payload.Verify.
func (b *body) verify() error {
	if b.bodies.Payload.Verify == nil {
		return nil
	}
	release := b.bodies.Stall.Pause()
	err := b.bodies.Payload.Verify(b.ctx)
	release()
	if err != nil {
		return b.fail(err)
	}
	return nil
}

// readSource reads the source and hashes what it read.
func (b *body) readSource(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.over() {
		return 0, errStopped
	}
	n, err := b.readSome(p)
	if n == 0 {
		return 0, b.endedEarly(err)
	}
	if int64(n) == b.left { // otherwise the next read returns the error again
		if err == nil && b.bodies.Payload.ToEnd {
			var more int
			if more, err = b.readSome(make([]byte, 1)); more > 0 {
				return 0, b.failSource(&SizeError{Offset: b.offset + b.left})
			}
		}
		if err != nil && err != io.EOF {
			return 0, b.failSource(err)
		}
	}
	if b.sum != nil {
		b.sum.Write(p[:n])
	}
	b.pass(n, p[:n], running)
	return n, nil
}

// pass calls Payload.Passed, unless the phase is after last.
func (b *body) pass(n int, data []byte, last phase) {
	if b.bodies.Payload.Passed == nil || n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase <= last {
		b.bodies.Payload.Passed(b.offset, n, data)
	}
}

// reportSum reports the sum of all bytes, unless the request is over.
func (b *body) reportSum(sum []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase != running {
		return false
	}
	b.bodies.Sum(sum)
	return true
}

// readSome reads at least one byte, or returns an error.
func (b *body) readSome(p []byte) (int, error) {
	defer b.bodies.Stall.Pause()()
	return readahead.Some(b.src, p)
}

// endedEarly records an error of the source before its expected end.
func (b *body) endedEarly(err error) error {
	if err == io.EOF {
		err = &SizeError{Offset: b.offset, Missing: b.left}
	}
	return b.failSource(err)
}

// permitted waits for the limits and returns how many of n bytes may be sent now. It
// returns io.EOF at the end of the body.
func (b *body) permitted(n int) (int, error) {
	switch {
	case b.over():
		return 0, errStopped
	case b.left == 0:
		return 0, io.EOF
	case n == 0:
		return 0, nil
	}
	n = int(min(int64(n), b.left))
	if len(b.limits) == 0 {
		return n, nil
	}
	if b.granted == 0 {
		if err := b.waitForLimits(n); err != nil {
			return 0, err
		}
	}
	return min(n, b.granted), nil
}

// waitForLimits waits until the limits, if there are any, permit some of n bytes.
func (b *body) waitForLimits(n int) error {
	if len(b.limits) == 0 {
		return nil
	}
	defer b.bodies.Stall.Pause()()
	for _, limit := range b.limits {
		n = min(n, max(1, limit.Burst()))
	}
	for _, limit := range b.limits {
		if err := limit.WaitN(withoutDeadline{b.ctx}, n); err != nil {
			return err
		}
	}
	b.granted = n
	return nil
}

// advance counts and reports n bytes that the transport reads, unless the phase is after
// last. It does so under the lock, so that stop does not return before. Only the reading
// goroutine calls it.
func (b *body) advance(n int64, last phase) error {
	b.offset += n
	b.left -= n
	b.granted = max(0, b.granted-int(n))
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > 0 && b.phase <= last {
		b.counted += n
		defer b.bodies.Stall.sent(b.left == 0)()
		b.bodies.Moved(int(n))
	}
	if b.phase != running {
		return errStopped
	}
	return nil
}

func (b *body) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.phase != running
}

// failSource is fail for an error of the source.
func (b *body) failSource(err error) error { return b.fail(b.bodies.SourceError(err)) }

// fail records the first error of the source, unless the body is closed.
func (b *body) fail(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase != running || b.closed {
		return errStopped
	}
	if b.err == nil {
		b.err = err
	}
	return err
}

// stop stops the body: bytes that the transport reads later do not count. It closes the
// source, so that a Read that blocks may return.
func (b *body) stop() {
	b.mu.Lock()
	b.phase = max(b.phase, stopping)
	sending := b.sending
	if sending != nil { // bytes that the kernel has accepted still count
		sending.conn.SetWriteDeadline(time.Unix(1, 0))
	}
	b.mu.Unlock()
	if sending != nil {
		wait := time.Second
		if b.ctx.Err() != nil {
			wait = async.Grace
		}
		async.ReceiveWithin(wait, sending.done) // reading the file may hang
	}
	b.mu.Lock()
	b.phase = stopped
	b.mu.Unlock()
	b.Close()
	if b.bodies.Payload.Memory {
		b.reading.Lock()
		defer b.reading.Unlock()
	}
}

// Close closes the reader of the source. The transport may call it after the request, and
// during a Read, whose error is then not an error of the source.
func (b *body) Close() (err error) {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.closing.Do(func() { // in the background, as closing src may hang
		go func() {
			defer close(b.closeErr)
			b.bodies.Panics.Run(func() { b.closeErr <- b.src.Close() })
		}()
	})
	err, _ = async.Receive(b.ctx, b.closeErr)
	return err
}
