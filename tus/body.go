package tus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Limiter bounds the rate at which bytes leave. *rate.Limiter of
// golang.org/x/time/rate is one.
type Limiter interface {
	// WaitN blocks until n bytes may be sent, or ctx ends.
	WaitN(ctx context.Context, n int) error
	// Burst is the largest n that WaitN accepts.
	Burst() int
}

const (
	// kernelSlice is how much of a file one call hands to the kernel: large
	// enough that the calls cost nothing, small enough for smooth progress.
	kernelSlice = 2 << 20
	// kernelWindow is how long one such call may block. A slow link moves few
	// bytes in it, and each of them counts as progress for the stall timer.
	kernelWindow = time.Second
)

// body is the payload of one request: a range of the source. The transport
// reads it like any other body, except that our own connections recognise it
// and let the kernel send the file (see conn.ReadFrom).
type body struct {
	ctx  context.Context
	src  io.ReadCloser
	file *os.File // src, if the kernel can send it
	// throttle, if not nil, waits until n bytes may move, at most burst at once.
	throttle func(n int) error
	burst    int
	// moved is told of every n bytes that were handed to the transport.
	moved func(n int)
	// verify runs once before the last bytes leave; its error keeps them back,
	// so that the server never sees a changed source as complete.
	verify func() error

	mu      sync.Mutex
	offset  int64 // in the source, of the next byte
	left    int64
	stopped bool  // the request is over: nothing counts any more
	err     error // the first failure of the source
}

// openBody opens the source for size bytes from offset on.
func openBody(ctx context.Context, src Source, offset, size int64) (*body, error) {
	r, err := src.Open(ctx, offset)
	if err != nil {
		return nil, sourceError(err)
	}
	b := &body{
		ctx: ctx, src: r, offset: offset, left: size,
		moved:  func(int) {},
		verify: func() error { return nil },
	}
	if f, ok := r.(*os.File); ok {
		b.file = f
	}
	return b, nil
}

// sourceError marks an error as the source's own, unless it already says that
// the source changed.
func sourceError(err error) error {
	if errors.Is(err, ErrSourceChanged) {
		return err
	}
	return fmt.Errorf("%w: %w", errSource, err)
}

// errBodyStopped ends what a transport still reads after its request is over.
var errBodyStopped = errors.New("tus: request is over")

func (b *body) Read(p []byte) (int, error) {
	n, err := b.allowance(len(p))
	if err != nil || n == 0 {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return 0, errBodyStopped
	}
	n, err = b.read(p[:n])
	b.advance(int64(n))
	return n, err
}

// read is one non-empty read of the source; it holds the last bytes back until
// they are verified.
func (b *body) read(p []byte) (int, error) {
	const maxEmptyReads = 100
	for range maxEmptyReads {
		n, err := b.src.Read(p)
		if n < 0 || n > len(p) {
			return 0, b.fail(fmt.Errorf("%w: reader returned %d bytes of %d", errSource, n, len(p)))
		}
		if n > 0 {
			if int64(n) == b.left {
				if err := b.verify(); err != nil {
					return 0, b.fail(err)
				}
			}
			return n, nil // an error that came along shows again in the next read
		}
		if err != nil {
			return 0, b.fail(b.ended(err))
		}
	}
	return 0, b.fail(fmt.Errorf("%w: %w", errSource, io.ErrNoProgress))
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
	b.mu.Lock()
	left, stopped := b.left, b.stopped
	b.mu.Unlock()
	switch {
	case stopped:
		return 0, errBodyStopped
	case left == 0:
		return 0, io.EOF
	case n == 0:
		return 0, nil
	}
	n = int(min(int64(n), left))
	if b.throttle != nil {
		n = min(n, b.burst)
		if err := b.throttle(n); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (b *body) advance(n int64) {
	b.offset += n
	b.left -= n
	if n > 0 {
		b.moved(int(n))
	}
}

// sendTo hands the rest of the file to the kernel, slice by slice, and returns
// the bytes that went out.
func (b *body) sendTo(conn *net.TCPConn, limit int64) (total int64, err error) {
	defer conn.SetWriteDeadline(time.Time{})
	for total < limit {
		n, err := b.allowance(int(min(kernelSlice, limit-total)))
		if err == io.EOF {
			break
		}
		if err != nil {
			return total, err
		}
		sent, err := b.sendSlice(conn, int64(n))
		total += sent
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// sendSlice sends up to n bytes; fewer, without error, where the window of time
// closed first.
func (b *body) sendSlice(conn *net.TCPConn, n int64) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return 0, errBodyStopped
	}
	if n == b.left {
		if err := b.verify(); err != nil {
			return 0, b.fail(err)
		}
	}
	if err := conn.SetWriteDeadline(time.Now().Add(kernelWindow)); err != nil {
		return 0, err
	}
	sent, err := conn.ReadFrom(&io.LimitedReader{R: b.file, N: n})
	b.advance(sent)
	if sent == n {
		return sent, nil
	}
	switch {
	case err == nil: // the file is shorter than it was
		return sent, b.fail(b.ended(io.EOF))
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return sent, err
	case b.ctx.Err() != nil:
		return sent, b.ctx.Err()
	}
	// Where the kernel could not do it, net copied through memory and may have
	// read more than it wrote.
	if _, err := b.file.Seek(b.offset, io.SeekStart); err != nil {
		return sent, b.fail(sourceError(err))
	}
	return sent, nil
}

func (b *body) fail(err error) error {
	if b.err == nil {
		b.err = err
	}
	return err
}

// stop ends the accounting: whatever the transport still reads does not count.
func (b *body) stop() {
	b.mu.Lock()
	b.stopped = true
	b.mu.Unlock()
}

// failure is the error of the source, if that is why the request failed.
func (b *body) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Close closes the reader of the source. The transport calls it, perhaps after
// the request returned.
func (b *body) Close() error { return b.src.Close() }
