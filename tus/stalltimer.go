package tus

import (
	"context"
	"fmt"
	"net"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"
)

// stallTimer cuts a request on which nothing moves: no byte of the body, no
// answer. It bounds silence, not duration, so a slow link may take as long as
// it needs.
type stallTimer struct {
	timeout time.Duration
	cut     context.CancelCauseFunc
	start   time.Time    // monotonic, so that a clock that jumps cuts nothing
	last    atomic.Int64 // nanoseconds from start to the last movement
	pauses  atomic.Int32
	interim atomic.Int32 // answers that were not the last, since bytes moved

	// connected counts the requests that have a connection, where the transport allows
	// only so many: as long as there are others, a request may have to wait for one
	// of theirs. nil if there is no limit.
	connected *atomic.Int32

	mu      sync.Mutex
	timer   *time.Timer
	conn    net.Conn // that carries the request, once known
	queued  int      // bytes in its send queue at the last look, -1 if unknown
	dialing bool     // a connection is being made for the request
	stopped bool
}

const (
	// maxInterim is how many interim answers in a row count as movement: a server
	// that sends nothing else must not keep a request for ever.
	maxInterim = 100
	// maxQueuing is how many timeouts a request may wait for a connection of
	// somebody whom we do not know, and who may send a large file over it. Nor do
	// we know that it is no dialer which hangs, and does not say that it dials.
	maxQueuing = 100
)

// newStallTimer starts a stallTimer, which must be stopped. A timeout of zero or less
// watches nothing.
func newStallTimer(timeout time.Duration, connected *atomic.Int32, cut context.CancelCauseFunc) *stallTimer {
	s := &stallTimer{timeout: timeout, cut: cut, start: time.Now(), connected: connected, queued: -1}
	if timeout > 0 {
		s.mu.Lock()
		s.timer = time.AfterFunc(timeout/2, s.check)
		s.mu.Unlock()
	}
	return s
}

// trace tells the stallTimer what the transport does for the request.
func (s *stallTimer) trace() *httptrace.ClientTrace {
	trace := &httptrace.ClientTrace{
		GotConn:        func(info httptrace.GotConnInfo) { s.gotConn(info.Conn) },
		Got1xxResponse: func(int, textproto.MIMEHeader) error { s.gotInterim(); return nil },
	}
	if s.connected != nil {
		trace.DNSStart = func(httptrace.DNSStartInfo) { s.dials() }
		trace.ConnectStart = func(string, string) { s.dials() }
		trace.TLSHandshakeStart = s.dials
	}
	return trace
}

// moved notes that a byte moved or an answer arrived.
func (s *stallTimer) moved() {
	if s.timeout > 0 {
		s.last.Store(int64(time.Since(s.start)))
	}
}

// gotConn tells which connection carries the request.
func (s *stallTimer) gotConn(c net.Conn) {
	s.mu.Lock()
	if s.connected != nil && s.conn == nil && !s.stopped {
		s.connected.Add(1)
	}
	s.conn, s.queued = c, -1
	s.mu.Unlock()
	s.moved()
}

// dials notes that a connection is being made, so that none of others is waited for.
func (s *stallTimer) dials() {
	s.mu.Lock()
	s.dialing = true
	s.mu.Unlock()
}

// gotInterim notes an answer that is not the last (1xx).
func (s *stallTimer) gotInterim() {
	if s.interim.Add(1) <= maxInterim {
		s.moved()
	}
}

// sent notes that bytes of the body left. It is quiet until told is called: hooks run
// one at a time, so that to tell of it may have to wait for one of another part.
func (s *stallTimer) sent() (release func()) {
	s.interim.Store(0)
	return s.pause()
}

// hasConn reports whether there was a connection for the request, which for TLS
// means that the handshake had succeeded.
func (s *stallTimer) hasConn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil
}

// pause keeps the stallTimer quiet while the caller's own rate limit or hook makes us
// wait; the function returned lets it go on.
func (s *stallTimer) pause() (release func()) {
	s.pauses.Add(1)
	return func() {
		s.moved()
		s.pauses.Add(-1)
	}
}

// check runs twice per timeout: the first look at an idle connection takes the
// measure of its send queue, the second sees whether it shrank. Bytes that the
// kernel took from us may need minutes to drain on a slow link.
func (s *stallTimer) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	if queued := unsentBytes(s.conn); queued >= 0 {
		if s.queued >= 0 && queued < s.queued {
			s.moved()
		}
		s.queued = queued
	}
	if s.pauses.Load() > 0 || s.awaitsConn() {
		s.moved()
	}
	idle := time.Since(s.start) - time.Duration(s.last.Load())
	if idle >= s.timeout {
		s.cut(fmt.Errorf("%w: nothing moved for %v", ErrStalled, s.timeout))
		return
	}
	next := s.timeout/2 - idle
	if next <= 0 {
		next = s.timeout - idle
	}
	s.timer.Reset(next)
}

// awaitsConn reports whether the request may be waiting for a connection of another: of
// this client, or for a while of anybody, as a transport can be shared. It needs the
// lock.
func (s *stallTimer) awaitsConn() bool {
	if s.connected == nil || s.conn != nil || s.dialing {
		return false
	}
	return s.connected.Load() > 0 || time.Since(s.start) < maxQueuing*s.timeout
}

func (s *stallTimer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connected != nil && s.conn != nil && !s.stopped {
		s.connected.Add(-1)
	}
	s.stopped = true
	if s.timer != nil {
		s.timer.Stop()
	}
}
