package send

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// body is one body of a request. The connections of NewTransport let the kernel send it
// if it is a file (see conn.ReadFrom); other transports read it.
type body struct {
	of     *Bodies
	ctx    context.Context
	limits []Limiter
	src    io.ReadCloser
	file   *os.File  // src, if the kernel can send it
	sum    hash.Hash // of all bytes that are read; nil for none

	// For the reading goroutine only.
	offset   int64 // in the source, of the next byte
	left     int64
	granted  int       // by limits, and not moved
	lastRead time.Time // when the transport last called Read

	beginning sync.Once
	reading   sync.Mutex // held during a Read of src
	closing   sync.Once
	ending    chan error // gets the error of closing src

	mu      sync.Mutex
	phase   phase
	closed  bool        // src is closed
	handed  int64       // bytes given to the transport
	sending *kernelSend // nil if the kernel sends nothing
	err     error       // the first one of the source
}

// phase is how far the end of a body has come.
type phase int

const (
	running phase = iota
	stopped       // the request is over: no more bytes leave
	counted       // no more bytes are counted
)

func newBody(ctx context.Context, of *Bodies) *body {
	b := &body{of: of, ctx: ctx, offset: of.Payload.Offset, left: of.Payload.Size, ending: make(chan error, 1)}
	for _, limit := range []Limiter{of.Limit, of.Payload.Limit} {
		if limit != nil {
			b.limits = append(b.limits, limit)
		}
	}
	if of.Hash != nil {
		b.sum = of.Hash()
	}
	return b
}

// firstBytes is how many bytes the limits must grant before the source is opened, so
// that a file is not open while the upload waits for its first byte.
const firstBytes = 32 << 10

// open opens the source when the first bytes may leave.
func (b *body) open() (err error) {
	if err := b.ask(int(min(b.left, firstBytes))); err != nil {
		return err
	}
	release := b.of.Stall.Pause()
	b.src, err = b.of.Payload.Open(b.ctx)
	release()
	if err != nil {
		return b.of.SourceError(err)
	}
	b.file, _ = b.src.(*os.File)
	return nil
}

// errStopped is returned to a transport that reads after its request is over.
var errStopped = errors.New("request is over")

func (b *body) Read(p []byte) (n int, err error) {
	if !b.of.Panics.Run(func() { n, err = b.readNext(p) }) {
		return 0, errStopped
	}
	return n, err
}

func (b *body) readNext(p []byte) (int, error) {
	b.begin()
	n, err := b.allowance(b.readSize(len(p)))
	if err != nil || n == 0 {
		return 0, err
	}
	n, err = b.read(p[:n])
	if over := b.advance(int64(n)); over != nil {
		return 0, over
	}
	return n, err
}

// begin is called before the first byte is read.
func (b *body) begin() {
	b.beginning.Do(func() { b.of.begin(b) })
}

const (
	// slowRead is the time between two reads from which the link is so slow that
	// smaller ones are needed to see bytes move.
	slowRead = time.Second
	// slowReadSize is the size of those.
	slowReadSize = 4 << 10
)

// readSize limits a Read of n bytes by the speed of the link.
func (b *body) readSize(n int) int {
	last := b.lastRead
	b.lastRead = time.Now()
	if !last.IsZero() && b.lastRead.Sub(last) > slowRead {
		return min(n, slowReadSize)
	}
	return n
}

// read is one non-empty read of the source. It holds the last bytes back until the
// source is verified.
func (b *body) read(p []byte) (int, error) {
	n, err := b.readSource(p)
	if err != nil || int64(n) < b.left {
		return n, err
	}
	if err := b.verified(); err != nil { // may hang, so without the lock
		return 0, err
	}
	if b.sum != nil && !b.summed(b.sum.Sum(nil)) {
		return 0, errStopped
	}
	return n, nil
}

// verified runs Payload.Verify.
func (b *body) verified() error {
	if b.of.Payload.Verify == nil {
		return nil
	}
	release := b.of.Stall.Pause()
	err := b.of.Payload.Verify(b.ctx)
	release()
	if err != nil {
		return b.fail(err)
	}
	return nil
}

// readSource reads and hashes.
func (b *body) readSource(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.over() {
		return 0, errStopped
	}
	n, err := b.readSome(p)
	if n == 0 {
		return 0, b.ended(err)
	}
	if int64(n) == b.left { // otherwise the next read returns the error again
		if err == nil && b.of.Payload.ToEnd {
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
	return n, nil
}

// summed reports the sum of all bytes, unless the request is over.
func (b *body) summed(sum []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase != running {
		return false
	}
	b.of.Sum(sum)
	return true
}

// readSome reads at least one byte, or returns an error.
func (b *body) readSome(p []byte) (int, error) {
	const maxEmptyReads = 100
	for range maxEmptyReads {
		release := b.of.Stall.Pause()
		n, err := b.src.Read(p)
		release()
		if n < 0 || n > len(p) {
			return 0, fmt.Errorf("reader returned %d bytes of %d", n, len(p))
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// ended records an error of the source before its promised end.
func (b *body) ended(err error) error {
	if err == io.EOF {
		err = &SizeError{Offset: b.offset, Missing: b.left}
	}
	return b.failSource(err)
}

// allowance waits for the limits and returns how many of n bytes may move now. It
// returns io.EOF at the end.
func (b *body) allowance(n int) (int, error) {
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
		if err := b.ask(n); err != nil {
			return 0, err
		}
	}
	return min(n, b.granted), nil
}

// ask waits until the limits, if there are any, grant some of n bytes.
func (b *body) ask(n int) (err error) {
	if len(b.limits) > 0 {
		defer b.of.Stall.Pause()()
		b.granted, err = waitForAll(b.ctx, b.limits, n)
	}
	return err
}

// advance counts n bytes that the transport is given, unless the request is over. The
// lock keeps stop from returning while they are reported.
func (b *body) advance(n int64) error {
	b.pass(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase != running {
		return errStopped
	}
	b.count(n)
	return nil
}

// pass advances the offset by n bytes. It is for the reading goroutine.
func (b *body) pass(n int64) {
	b.offset += n
	b.left -= n
	b.granted = max(0, b.granted-int(n))
}

// count counts and reports n bytes. It needs the lock.
func (b *body) count(n int64) {
	b.handed += n
	if n > 0 {
		defer b.of.Stall.sent(b.left == 0)()
		b.of.Moved(int(n))
	}
}

func (b *body) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.phase != running
}

// failSource is fail for an error of the source.
func (b *body) failSource(err error) error { return b.fail(b.of.SourceError(err)) }

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

// stop ends the body: bytes that the transport reads later do not count. It closes the
// source, so that a Read that blocks may return.
func (b *body) stop() {
	b.mu.Lock()
	b.phase = max(b.phase, stopped)
	sending := b.sending
	if sending != nil { // what the kernel has taken so far counts
		sending.conn.SetWriteDeadline(time.Unix(1, 0))
	}
	b.mu.Unlock()
	if sending != nil {
		wait := time.Second
		if b.ctx.Err() != nil {
			wait = async.Grace
		}
		async.ReceiveWithin(wait, sending.over) // a file may hang in a read
	}
	b.mu.Lock()
	b.phase = counted
	b.mu.Unlock()
	b.Close()
	if b.of.Payload.Memory {
		b.reading.Lock()
		defer b.reading.Unlock()
	}
}

// sent returns how many bytes the transport was given.
func (b *body) sent() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.handed
}

// failure returns the error that was recorded.
func (b *body) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Close closes the reader of the source. The transport may call it during a Read, whose
// error is then not one of the source, and after the request.
func (b *body) Close() (err error) {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.closing.Do(func() { // in the background, because it may hang
		go func() {
			defer close(b.ending)
			b.of.Panics.Run(func() { b.ending <- b.src.Close() })
		}()
	})
	err, _ = async.Receive(b.ctx, b.ending)
	return err
}
