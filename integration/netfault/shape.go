package netfault

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Shape configures a slow link. The zero value does not slow it down.
type Shape struct {
	// RoundTrip is the round-trip time. Each direction is delayed by half of it, and
	// the first bytes of a connection by one more round trip, for the handshake.
	RoundTrip time.Duration
	// Rate is the bandwidth of each direction of each connection in bytes per
	// second. 0 means no limit.
	Rate int64
}

const (
	packetSize = 16 << 10
	// minWindow is the smallest window of a shaped connection.
	minWindow = 256 << 10
	// unlimitedWindow is the window without a rate.
	unlimitedWindow = 4 << 20
)

func (s Shape) active() bool { return s.RoundTrip > 0 || s.Rate > 0 }

// window returns how many bytes may be in flight in one direction.
func (s Shape) window() int64 {
	if s.Rate == 0 {
		return unlimitedWindow
	}
	return max(minWindow, int64(float64(s.Rate)*s.RoundTrip.Seconds()))
}

// bound limits the kernel's buffers to the window.
func (s Shape) bound(c *net.TCPConn) {
	if s.active() {
		c.SetReadBuffer(int(s.window()))
		c.SetWriteBuffer(int(s.window()))
	}
}

// line writes the bytes of one direction.
type line interface {
	io.Writer
	// finish waits until all written bytes were sent, or the link is cut.
	finish()
	// closeWrite sends the end of the stream to the receiver.
	closeWrite()
}

func (s Shape) line(dst *net.TCPConn, d Direction, cut <-chan struct{}) line {
	if !s.active() {
		return direct{dst}
	}
	return newDelayLine(s, d, dst, func() { dst.CloseWrite() }, cut)
}

type direct struct{ *net.TCPConn }

func (direct) finish()       {}
func (d direct) closeWrite() { d.CloseWrite() }

// delayLine delays what is written to it and limits the rate.
type delayLine struct {
	shape Shape
	dst   io.Writer
	end   func()
	cut   <-chan struct{}
	queue chan packet
	free  time.Time     // when the line has sent all scheduled bytes
	extra time.Duration // additional delay of the next bytes

	broken chan struct{}  // closed when a write to the receiver failed
	over   sync.WaitGroup // the deliver goroutine
	once   sync.Once
}

type packet struct {
	data []byte
	due  time.Time
}

func newDelayLine(s Shape, d Direction, dst io.Writer, end func(), cut <-chan struct{}) *delayLine {
	l := &delayLine{
		shape: s, dst: dst, end: end, cut: cut,
		queue:  make(chan packet, s.window()/packetSize),
		broken: make(chan struct{}),
	}
	if d == Up {
		l.extra = s.RoundTrip
	}
	l.over.Go(l.deliver)
	return l
}

var errCut = errors.New("netfault: connection was cut")

// Write blocks while the window is full.
func (l *delayLine) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := min(len(p), packetSize)
		select {
		case l.queue <- packet{append([]byte(nil), p[:n]...), l.schedule(n)}:
		case <-l.broken:
			return written, errCut
		case <-l.cut:
			return written, errCut
		}
		written += n
		p = p[n:]
	}
	return written, nil
}

// schedule returns the arrival time of the next n bytes.
func (l *delayLine) schedule(n int) time.Time {
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(l.extra)
	l.extra = 0
	if l.shape.Rate > 0 {
		l.free = l.free.Add(time.Duration(float64(n) / float64(l.shape.Rate) * float64(time.Second)))
	}
	return l.free.Add(l.shape.RoundTrip / 2)
}

func (l *delayLine) deliver() {
	for p := range l.queue {
		if !l.wait(time.Until(p.due)) {
			break
		}
		if _, err := l.dst.Write(p.data); err != nil {
			break
		}
	}
	close(l.broken)
	for range l.queue { // until finish
	}
}

func (l *delayLine) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.cut:
		return false
	}
}

func (l *delayLine) finish() {
	l.once.Do(func() { close(l.queue) })
	l.over.Wait()
}

func (l *delayLine) closeWrite() { l.end() }
