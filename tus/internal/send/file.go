package send

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

const (
	// kernelSlice is how much of a file the first call passes to the kernel. The next
	// ones pass more while they are quick, to make fewer calls. The last one of a
	// request is small again: the source is verified right before it.
	kernelSlice    = 2 << 20
	maxKernelSlice = 32 << 20
	// kernelTurn is about how long a call should take, for smooth progress.
	kernelTurn = 20 * time.Millisecond
	// kernelWindow is how long one such call may block. On a slow link, the few bytes
	// that move in that time count as progress for the stall timer.
	kernelWindow = time.Second
)

// sendTo passes the rest of the file to the kernel in slices. It returns how many bytes
// the kernel took.
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

// kernelSend is the kernel sending a file.
type kernelSend struct {
	conn *net.TCPConn
	over chan struct{} // closed at the end
}

// sendsOn records that the kernel sends the file until done is called.
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

// sendSlice sends up to n bytes: fewer if kernelWindow ends first.
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
		return sent, nil // also if the response has ended the request
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

// errCopied is returned for a file that the kernel cannot send: package net copied it
// through memory and read more than it wrote. With a write deadline, a file whose Read
// takes longer than that would never make progress.
var errCopied = errors.New("the kernel cannot send the file")

// openWindow limits the next call of the kernel to kernelWindow, unless the request is
// over.
func (b *body) openWindow(conn *net.TCPConn) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase != running {
		return errStopped
	}
	return conn.SetWriteDeadline(time.Now().Add(kernelWindow))
}

// took is advance for bytes that the kernel took. They count even if the request is
// over.
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
