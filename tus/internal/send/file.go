package send

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

const (
	// kernelSlice is how much of a file the first call hands to the kernel. The
	// next ones take more while they are quick, so that calls cost nothing, but the
	// last one of a request does not: the source is looked at right before it.
	kernelSlice    = 2 << 20
	maxKernelSlice = 32 << 20
	// kernelTurn is about how long a call should take, for smooth progress.
	kernelTurn = 20 * time.Millisecond
	// kernelWindow is how long one such call may block. A slow link moves few
	// bytes in it, and each of them counts as progress for the stall timer.
	kernelWindow = time.Second
)

// sendTo hands the rest of the file to the kernel, slice by slice, and returns
// the bytes that went out.
func (b *body) sendTo(conn *net.TCPConn, limit int64) (total int64, err error) {
	if !b.of.Panics.Run(func() { total, err = b.sendSlices(conn, limit) }) {
		return 0, errStopped
	}
	return total, err
}

func (b *body) sendSlices(conn *net.TCPConn, limit int64) (total int64, err error) {
	b.begin()
	done := b.sendsOn(conn)
	defer done()
	slice := int64(kernelSlice)
	for total < limit {
		begin := time.Now()
		n, err := b.allowance(int(min(slice, limit-total, max(kernelSlice, b.left-kernelSlice))))
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
		case took < kernelTurn/2:
			slice = min(2*slice, maxKernelSlice)
		case took > 2*kernelTurn:
			slice = max(slice/2, kernelSlice)
		}
	}
	return total, nil
}

// kernelSend is the time in which the kernel sends a file.
type kernelSend struct {
	conn *net.TCPConn
	over chan struct{} // closed at its end
}

// sendsOn notes that the kernel sends the file until done is called.
func (b *body) sendsOn(conn *net.TCPConn) (done func()) {
	sending := &kernelSend{conn, make(chan struct{})}
	b.mu.Lock()
	b.sending = sending
	b.mu.Unlock()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sending = nil
		conn.SetWriteDeadline(time.Time{})
		close(sending.over)
	}
}

// sendSlice sends up to n bytes; fewer, without error, where the window of time
// closed first.
func (b *body) sendSlice(conn *net.TCPConn, n int64) (int64, error) {
	begin, err := b.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, errCopied // a pipe
	}
	if n == b.left {
		if err := b.verified(); err != nil {
			return 0, err
		}
	}
	if err := b.openWindow(conn); err != nil {
		return 0, err
	}
	done := b.of.Stall.kernelSends()
	sent, err := conn.ReadFrom(&io.LimitedReader{R: b.file, N: n})
	done()
	over := b.took(sent)
	if sent == n && b.left == 0 {
		return sent, nil // also where the answer was faster than we
	}
	if over != nil {
		return sent, over
	}
	if sent == n {
		return sent, nil
	}
	switch {
	case err == nil: // the file is shorter than it was
		return sent, b.ended(io.EOF)
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

// errCopied is returned for a file that the kernel cannot send: net copied it through
// memory and read more than it wrote. With a deadline for the write, a file whose Read
// takes longer than that would never move on.
var errCopied = errors.New("the kernel cannot send the file")

// openWindow bounds the next call of the kernel, unless the request is over.
func (b *body) openWindow(conn *net.TCPConn) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase != running {
		return errStopped
	}
	return conn.SetWriteDeadline(time.Now().Add(kernelWindow))
}

// took is advance for bytes that the kernel took. Those have left, also when the
// request is over by now.
func (b *body) took(n int64) error {
	b.pass(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase != counted {
		b.count(n)
	}
	if b.phase != running {
		return errStopped
	}
	return nil
}
