package tus

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// Limiter bounds the rate at which bytes leave. [RateLimit] is one, and *rate.Limiter
// of golang.org/x/time/rate another.
type Limiter interface {
	// WaitN blocks until n bytes may be sent, or ctx ends.
	WaitN(ctx context.Context, n int) error
	// Burst is the largest n that WaitN accepts now, at least 1.
	Burst() int
}

// withoutDeadline is a context that ends when it ends, and does not say so before:
// a limiter that knows the end refuses at once what cannot be sent by then, and the
// upload is to go on for as long as it may.
type withoutDeadline struct{ context.Context }

func (withoutDeadline) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// body is the payload of one request: a range of the source. The transport
// reads it like any other body, except that our own connections recognise it
// and let the kernel send the file (see conn.ReadFrom).
type body struct {
	ctx    context.Context
	source func() (io.ReadCloser, error) // opens src
	src    io.ReadCloser
	file   *os.File // src, if the kernel can send it
	// limit, if not nil, is the rate limit of the upload.
	limit Limiter
	// throttle, if not nil, waits until some of n bytes may move, and returns how many.
	throttle func(n int) (int, error)
	granted  int // by throttle, and not moved yet; the reading goroutine's
	// moved is told of every n bytes that were handed to the transport.
	moved func(n int)
	stall *stallTimer // rests while the source is used; nil outside a request
	// panics takes those of the source and of everything that is called here.
	panics *async.Panics
	// verify runs once before the last bytes leave; its error keeps them back,
	// so that the server never sees a changed source as complete.
	verify func() error

	// sum, if not nil, takes in all bytes that are read, and done is then given
	// the result, before the transport learns that it was the last read.
	sum  hash.Hash
	done func(sum []byte)
	// toEnd says that nothing follows these bytes in the source.
	toEnd bool
	// memory says that src reads from memory that is used again after stop: a
	// Read under way is waited for. Other sources may block.
	memory bool

	// begun, if not nil, is told once that somebody begins to read.
	begun     func()
	beginning sync.Once

	offset int64 // in the source, of the next byte; the reading goroutine's
	left   int64 // the reading goroutine's
	// lastRead is when the transport last asked for bytes; the reading
	// goroutine's.
	lastRead time.Time

	reading sync.Mutex // held during a Read of src
	closing sync.Once
	ending  chan error // gets the error of closing src
	mu      sync.Mutex
	stopped bool          // the request is over: nothing leaves any more
	counted bool          // nothing counts any more, either
	closed  bool          // src is
	handed  int64         // bytes that went to the transport
	conn    *net.TCPConn  // on which the kernel is sending; nil if it is not
	sending chan struct{} // closed when it is done; nil before
	err     error         // the first failure of the source
}

// newBody makes a payload of size bytes from offset on. source returns a reader that is
// at offset, which belongs to the body.
func newBody(ctx context.Context, offset, size int64, source func() (io.ReadCloser, error)) *body {
	return &body{
		ctx: ctx, source: source, offset: offset, left: size,
		ending: make(chan error, 1),
		moved:  func(int) {},
		verify: func() error { return nil },
	}
}

// firstBytes is what the rate limit has to let pass before the source is opened, so that
// a file is not open while the upload waits for its first byte.
const firstBytes = 32 << 10

// open opens the source, when the first bytes may leave.
func (b *body) open() error {
	if b.throttle != nil {
		granted, err := b.throttle(int(min(b.left, firstBytes)))
		if err != nil {
			return err
		}
		b.granted = granted
	}
	release := b.stall.pause() // a source may take its time
	r, err := b.source()
	release()
	if err != nil {
		return sourceError(err)
	}
	b.src = r
	b.file, _ = r.(*os.File)
	return nil
}

// sourceError marks an error as the source's own, unless it already says that
// the source changed.
func sourceError(err error) error {
	if errors.Is(err, ErrSourceChanged) {
		return err
	}
	return fmt.Errorf("%w: %w", errSource, err)
}

// shortSource is sourceError for a look at the source that says by short that it
// ended early.
func shortSource(err, short error) error {
	if errors.Is(err, short) {
		return fmt.Errorf("%w: %w", ErrSourceChanged, err)
	}
	return sourceError(err)
}

// errBodyStopped ends what a transport still reads after its request is over.
var errBodyStopped = errors.New("tus: request is over")

func (b *body) Read(p []byte) (n int, err error) {
	if !b.panics.Run(func() { n, err = b.readNext(p) }) {
		return 0, errBodyStopped
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

// begin is called before the first byte is asked for.
func (b *body) begin() {
	if b.begun != nil {
		b.beginning.Do(b.begun)
	}
}

const (
	// slowRead is how long a transport takes over a buffer if the link is so slow
	// that smaller ones are needed to see it move.
	slowRead = time.Second
	// slowReadSize is what it then gets at once.
	slowReadSize = 4 << 10
)

// readSize bounds a Read by the speed of the link.
func (b *body) readSize(n int) int {
	last := b.lastRead
	b.lastRead = time.Now()
	if !last.IsZero() && b.lastRead.Sub(last) > slowRead {
		return min(n, slowReadSize)
	}
	return n
}

// read is one non-empty read of the source; it holds the last bytes back until
// they are verified.
func (b *body) read(p []byte) (int, error) {
	n, err := b.readSource(p)
	if err != nil || int64(n) < b.left {
		return n, err
	}
	if err := b.verified(); err != nil { // which may hang, so without the lock
		return 0, err
	}
	if b.sum != nil && !b.summed(b.sum.Sum(nil)) {
		return 0, errBodyStopped
	}
	return n, nil
}

// verified runs verify.
func (b *body) verified() error {
	release := b.stall.pause()
	err := b.verify()
	release()
	if err != nil {
		return b.fail(err)
	}
	return nil
}

// readSource reads, and adds up what it read.
func (b *body) readSource(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.over() {
		return 0, errBodyStopped
	}
	n, err := b.readSome(p)
	if n == 0 {
		return 0, b.fail(b.ended(err))
	}
	if int64(n) == b.left { // else an error that came along shows again in the next read
		if err == nil && b.toEnd {
			var more int
			if more, err = b.readSome(make([]byte, 1)); more > 0 {
				return 0, b.fail(fmt.Errorf("%w: it has grown", ErrSourceChanged))
			}
		}
		if err != nil && err != io.EOF {
			return 0, b.fail(sourceError(err))
		}
	}
	if b.sum != nil {
		b.sum.Write(p[:n])
	}
	return n, nil
}

// summed tells the sum of all bytes, unless the request is over: then nobody wants
// it any more.
func (b *body) summed(sum []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.stopped {
		b.done(sum)
	}
	return !b.stopped
}

// readSome reads at least one byte, or returns an error.
func (b *body) readSome(p []byte) (int, error) {
	const maxEmptyReads = 100
	for range maxEmptyReads {
		release := b.stall.pause()
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

// ended judges an error of the source before its promised end.
func (b *body) ended(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%w: it ended at byte %d, %d bytes early", ErrSourceChanged, b.offset, b.left)
	}
	return sourceError(err)
}

// allowance returns how many of up to n bytes may move now, after waiting for
// the rate limit; io.EOF at the end.
func (b *body) allowance(n int) (int, error) {
	switch {
	case b.over():
		return 0, errBodyStopped
	case b.left == 0:
		return 0, io.EOF
	case n == 0:
		return 0, nil
	}
	n = int(min(int64(n), b.left))
	if b.throttle == nil {
		return n, nil
	}
	if b.granted == 0 {
		granted, err := b.throttle(n)
		if err != nil {
			return 0, err
		}
		b.granted = granted
	}
	return min(n, b.granted), nil
}

// advance counts n bytes that the transport is given, unless the request is over. The
// lock keeps stop from returning while somebody is told of them.
func (b *body) advance(n int64) error {
	b.pass(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return errBodyStopped
	}
	b.count(n)
	return nil
}

// pass moves on by n bytes. It is for the reading goroutine.
func (b *body) pass(n int64) {
	b.offset += n
	b.left -= n
	b.granted = max(0, b.granted-int(n))
}

// count needs the lock.
func (b *body) count(n int64) {
	b.handed += n
	if n > 0 {
		b.moved(int(n))
	}
}

func (b *body) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopped
}

// fail notes why the source failed, unless it is only because nobody wants it any
// more.
func (b *body) fail(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped || b.closed {
		return errBodyStopped
	}
	if b.err == nil {
		b.err = err
	}
	return err
}

// stop ends the accounting: whatever the transport still reads does not count.
// It also closes the source, so that a Read which blocks may return.
func (b *body) stop() {
	b.mu.Lock()
	b.stopped = true
	sending := b.sending
	if b.conn != nil { // what it has taken by now counts, and no more
		b.conn.SetWriteDeadline(time.Unix(1, 0))
	}
	b.mu.Unlock()
	if sending != nil {
		wait := time.Second
		if b.ctx.Err() != nil {
			wait = async.Grace
		}
		async.ReceiveWithin(wait, sending) // a file may hang in a read
	}
	b.mu.Lock()
	b.counted = true
	b.mu.Unlock()
	b.Close()
	if b.memory {
		b.reading.Lock()
		defer b.reading.Unlock()
	}
}

// sent is how many bytes went to the transport.
func (b *body) sent() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.handed
}

// failure is the error of the source, if that is why the request failed.
func (b *body) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Close closes the reader of the source. The transport calls it, perhaps after
// the request returned, perhaps during a Read: that this then fails says nothing
// of the source.
func (b *body) Close() (err error) {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.closing.Do(func() { // a Close that hangs must hold up nobody else
		go func() {
			defer close(b.ending)
			b.panics.Run(func() { b.ending <- b.src.Close() })
		}()
	})
	err, _ = async.Receive(b.ctx, b.ending)
	return err
}
