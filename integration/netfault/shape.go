package netfault

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Shape is a slow link. The zero value is as fast as the machine.
type Shape struct {
	// RoundTrip is the time that a byte and its answer take together. Half of it
	// is added in each direction, and a connection's first bytes wait a whole one
	// longer, as for the handshake.
	RoundTrip time.Duration
	// Rate is how many bytes per second each direction of each connection
	// carries. 0 means no limit.
	Rate int64
}

const (
	packetSize = 16 << 10
	// leastWindow is what may be under way on a shaped connection even where rate
	// and round trip say less.
	leastWindow = 256 << 10
	// freeWindow is what may be under way where no rate is set.
	freeWindow = 4 << 20
)

func (s Shape) active() bool { return s.RoundTrip > 0 || s.Rate > 0 }

// window is how many bytes are under way in one direction when it is busy.
func (s Shape) window() int64 {
	if s.Rate == 0 {
		return freeWindow
	}
	return max(leastWindow, int64(float64(s.Rate)*s.RoundTrip.Seconds()))
}

// bound keeps the kernel from holding much more than the link itself would.
func (s Shape) bound(c *net.TCPConn) {
	if s.active() {
		c.SetReadBuffer(int(s.window()))
		c.SetWriteBuffer(int(s.window()))
	}
}

// line is where the bytes of one direction leave.
type line interface {
	io.Writer
	// finish returns when all that was written has left, or the link is cut.
	finish()
	// closeWrite tells the receiver that no more comes.
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

// delayLine delivers what is written to it later, and no faster than its rate.
type delayLine struct {
	shape Shape
	dst   io.Writer
	end   func()
	cut   <-chan struct{}
	queue chan packet
	free  time.Time     // when the line has sent all that was given to it
	extra time.Duration // that the next bytes wait longer

	broken chan struct{}  // closed when the receiver is gone
	over   sync.WaitGroup // the goroutine that delivers
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

var errCut = errors.New("netfault: connection is gone")

// Write returns when the bytes are on their way, which takes as long as the
// window is full.
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

// schedule says when n further bytes have arrived.
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
