package send

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

const (
	// kernelSlice is how many bytes of a file the first call passes to the kernel. While
	// calls are quick, the next ones pass more, to make fewer calls. The last call of a
	// request is small again, because the source is verified right before it.
	kernelSlice    = 2 << 20
	maxKernelSlice = 32 << 20
	// kernelTime is about how long a call should take, for smooth progress.
	kernelTime = 20 * time.Millisecond
	// kernelTimeout is how long one call may block. On a slow link, the few bytes that
	// move in that time count as progress for the stall timer.
	kernelTimeout = time.Second
)

// sendTo passes the rest of the file to the kernel in slices. It returns how many bytes
// the kernel accepted.
func (b *body) sendTo(conn *net.TCPConn, limit int64) (total int64, err error) {
	if !b.bodies.Panics.Run(func() { total, err = b.sendSlices(conn, limit) }) {
		return 0, errStopped
	}
	return total, err
}

func (b *body) sendSlices(conn *net.TCPConn, limit int64) (total int64, err error) {
	b.begin()
	defer b.kernelStarts(conn)()
	slice := int64(kernelSlice)
	for total < limit {
		begin := time.Now()
		n, err := b.permitted(int(min(slice, limit-total, max(kernelSlice, b.left-kernelSlice))))
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
		switch took := time.Since(begin); {
		case took < kernelTime/2:
			slice = min(2*slice, maxKernelSlice)
		case took > 2*kernelTime:
			slice = max(slice/2, kernelSlice)
		}
	}
	return total, nil
}

// kernelSend is the kernel sending a file.
type kernelSend struct {
	conn *net.TCPConn
	done chan struct{} // closed at the end
}

// kernelStarts records that the kernel sends the file until done is called.
func (b *body) kernelStarts(conn *net.TCPConn) (done func()) {
	sending := &kernelSend{conn, make(chan struct{})}
	b.mu.Lock()
	b.sending = sending
	b.mu.Unlock()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sending = nil
		conn.SetWriteDeadline(time.Time{})
		close(sending.done)
	}
}

// sendSlice sends up to n bytes, fewer if kernelTimeout ends first.
func (b *body) sendSlice(conn *net.TCPConn, n int64) (int64, error) {
	begin, err := b.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, errCopied // a pipe
	}
	if n == b.left {
		if err := b.verify(); err != nil {
			return 0, err
		}
	}
	if err := b.setKernelTimeout(conn); err != nil {
		return 0, err
	}
	done := b.bodies.Stall.kernelSends()
	sent, err := conn.ReadFrom(&io.LimitedReader{R: b.file, N: n})
	done()
	b.pass(int(sent), nil, stopping)
	over := b.advance(sent, stopping) // bytes that the kernel accepted count until the body is stopped
	if sent == n && b.left == 0 {
		return sent, nil // even if the response has ended the request
	}
	if over != nil {
		return sent, over
	}
	if sent == n {
		return sent, nil
	}
	switch {
	case err == nil: // the file was truncated
		return sent, b.endedEarly(io.EOF)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return sent, err
	case b.ctx.Err() != nil:
		return sent, b.ctx.Err()
	}
	at, err := b.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return sent, b.failSource(err)
	}
	if at == begin+sent {
		return sent, nil
	}
	if _, err := b.file.Seek(begin+sent, io.SeekStart); err != nil {
		return sent, b.failSource(err)
	}
	return sent, errCopied
}

// errCopied is returned for a file that the kernel cannot send: package net copied it
// through memory and read more than it wrote. With the write deadline of sendSlice, a file
// whose Read takes longer would make no progress.
var errCopied = errors.New("the kernel cannot send the file")

// setKernelTimeout limits the next call of the kernel to kernelTimeout, unless the request
// is over.
func (b *body) setKernelTimeout(conn *net.TCPConn) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase != running {
		return errStopped
	}
	return conn.SetWriteDeadline(time.Now().Add(kernelTimeout))
}
