package send

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"
)

// StallTimer cuts a request on which no byte moves and no response arrives. It has no
// total timeout, so a slow link may take as long as it needs. It rests while the
// caller's own code (a hook, a rate limit, the source) keeps the request waiting. Set
// the exported fields before Start.
type StallTimer struct {
	Timeout  time.Duration // for bytes; 0 or less for none
	Response time.Duration // for the response once the whole request has left; 0 or less for none
	Cut      context.CancelCauseFunc
	Err      error // wrapped by the cause that Cut gets
	// Connected counts the requests that have a connection, where the transport allows
	// only so many: as long as there are others, a request may have to wait for one
	// of theirs. nil if there is no limit.
	Connected *atomic.Int32

	start   time.Time    // monotonic, so that a clock that jumps cuts nothing
	last    atomic.Int64 // nanoseconds from start to the last movement
	pauses  atomic.Int32
	interim atomic.Int32 // responses that were not the last
	kernel  atomic.Int64 // nanoseconds from start to when the kernel began to send a slice of a file; 0 if it sends none

	mu       sync.Mutex
	timer    *time.Timer
	conn     net.Conn // that carries the request, once known
	made     int      // connections that were made for the request
	queued   int      // bytes in the send queue of conn at the last check, -1 if unknown
	dialing  bool     // a connection is being made for the request
	wanted   bool     // the transport, which then is one of net/http, looks for a connection
	written  bool     // conn has taken the whole request
	answered bool     // the header of the response is there
	stopped  bool
}

const (
	// maxInterim is how many interim responses of a request count as movement: a server
	// that sends nothing else must not keep a request forever.
	maxInterim = 100
	// maxMade is how many connections the transport may make for one request. It makes
	// another one, without a limit of its own, each time that an HTTP/2 server closes
	// one (GOAWAY) before it takes the request.
	maxMade = 10
	// maxQueuing is how many timeouts a request may wait for a connection of an unknown
	// other client, which may send a large file over it. Nor is it known that no dialer
	// hangs that does not report that it dials.
	maxQueuing = 100
)

// Start starts the timer. It must be stopped.
func (s *StallTimer) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start, s.queued = time.Now(), -1
	if interval := s.interval(); interval > 0 {
		s.timer = time.AfterFunc(interval, s.check)
	}
}

// interval is the longest time between two checks; 0 if there is nothing to check.
func (s *StallTimer) interval() (shortest time.Duration) {
	for _, limit := range []time.Duration{s.Timeout, s.Response} {
		if limit > 0 && (shortest == 0 || limit/2 < shortest) {
			shortest = max(1, limit/2)
		}
	}
	return shortest
}

// Trace returns the callbacks by which the transport reports its work on the request.
func (s *StallTimer) Trace() *httptrace.ClientTrace {
	trace := &httptrace.ClientTrace{
		GetConn:        func(string) { s.wants() },
		GotConn:        s.gotConn,
		Got1xxResponse: func(int, textproto.MIMEHeader) error { s.gotInterim(); return nil },
		WroteRequest:   s.wrote,
	}
	if s.Connected != nil {
		trace.DNSStart = func(httptrace.DNSStartInfo) { s.dials() }
		trace.ConnectStart = func(string, string) { s.dials() }
		trace.TLSHandshakeStart = s.dials
	}
	return trace
}

// moved notes that a byte moved or a response arrived.
func (s *StallTimer) moved() { s.last.Store(int64(time.Since(s.start))) }

// gotConn notes the connection that carries the request.
func (s *StallTimer) gotConn(info httptrace.GotConnInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Connected != nil && s.conn == nil && !s.stopped {
		s.Connected.Add(1)
	}
	s.conn, s.queued, s.written = info.Conn, -1, false
	s.moved()
	if info.Reused {
		return
	}
	if s.made++; s.made > maxMade {
		s.Cut(fmt.Errorf("%w: %d connections were made for the request, and none took it", s.Err, s.made))
	}
}

// wants notes that the transport looks for a connection.
func (s *StallTimer) wants() {
	s.mu.Lock()
	s.wanted = true
	s.mu.Unlock()
}

// NeverSent reports whether the transport found no connection for the request.
func (s *StallTimer) NeverSent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted && s.conn == nil
}

// multiplexed reports whether a connection carries several requests at a time.
func multiplexed(c net.Conn) bool {
	secure, ok := c.(interface{ ConnectionState() tls.ConnectionState })
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

// dials notes that a connection is being made, so that none of others is waited for.
func (s *StallTimer) dials() {
	s.mu.Lock()
	s.dialing = true
	s.mu.Unlock()
}

// gotInterim notes a response that is not the last (1xx).
func (s *StallTimer) gotInterim() {
	if s.interim.Add(1) <= maxInterim {
		s.moved()
	}
}

// sent notes that bytes of the body went to the transport, all of them or not. The
// timer rests until release is called: hooks run one at a time, so that the report of
// these bytes may have to wait for a hook of another part.
func (s *StallTimer) sent(all bool) (release func()) {
	s.mu.Lock()
	s.written = all && s.conn == nil // a transport that reports no connection reports nothing else
	s.mu.Unlock()
	return s.Pause()
}

// wrote notes that the transport has written the request to the connection.
func (s *StallTimer) wrote(info httptrace.WroteRequestInfo) {
	if info.Err != nil {
		return
	}
	s.mu.Lock()
	s.written = true
	s.mu.Unlock()
	s.moved()
}

// GotResponse notes the header of the response; its body is bytes that have to move.
func (s *StallTimer) GotResponse() {
	s.mu.Lock()
	s.answered = true
	s.mu.Unlock()
	s.moved()
}

// HasConn reports whether there was a connection for the request, which for TLS
// means that the handshake had succeeded.
func (s *StallTimer) HasConn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil
}

// Pause stops the timer while the caller's code keeps the request waiting: a rate
// limit, a hook, the source. release restarts it.
func (s *StallTimer) Pause() (release func()) {
	s.pauses.Add(1)
	return func() {
		s.moved()
		s.pauses.Add(-1)
	}
}

// kernelSends notes that the kernel sends a slice of a file until done is called. It
// may wait for the socket or for the file.
func (s *StallTimer) kernelSends() (done func()) {
	s.kernel.Store(max(1, int64(time.Since(s.start))))
	return func() { s.kernel.Store(0) }
}

// kernelReads reports whether the kernel waits for the file that it sends: the socket
// has an empty queue or, where that is unknown, would have ended the wait for it.
func (s *StallTimer) kernelReads(queued int) bool {
	began := time.Duration(s.kernel.Load())
	switch {
	case began == 0:
		return false
	case queued < 0:
		return time.Since(s.start)-began > 2*kernelWindow
	}
	return queued == 0
}

// check cuts the request when nothing moved for the limit. It runs at least twice per
// timeout: the first check of an idle connection measures its send queue, the second
// finds whether it shrank. Bytes that the kernel took may need minutes to drain on a
// slow link.
func (s *StallTimer) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	queued := -1
	if !multiplexed(s.conn) { // else other requests fill and drain the queue
		queued = unsentBytes(s.conn)
	}
	if queued >= 0 {
		if s.queued >= 0 && queued < s.queued {
			s.moved()
		}
		s.queued = queued
	}
	if s.pauses.Load() > 0 || s.awaitsConn() || s.kernelReads(queued) {
		s.moved()
	}
	limit, what := s.Timeout, "nothing moved for %v"
	if s.written && !s.answered && queued <= 0 {
		limit, what = s.Response, "the whole request was sent, and no response came for %v"
	}
	next := s.interval()
	if limit > 0 {
		left := limit - (time.Since(s.start) - time.Duration(s.last.Load()))
		if left <= 0 {
			s.Cut(fmt.Errorf("%w: "+what, s.Err, limit))
			return
		}
		next = min(next, left)
	}
	s.timer.Reset(next)
}

// awaitsConn reports whether the request may be waiting for a connection of another: of
// this client, or for a while of any other, as a transport can be shared. It needs the
// lock.
func (s *StallTimer) awaitsConn() bool {
	if s.Connected == nil || s.conn != nil || s.dialing {
		return false
	}
	return s.Connected.Load() > 0 || time.Since(s.start) < maxQueuing*s.Timeout
}

// Stop stops the timer.
func (s *StallTimer) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Connected != nil && s.conn != nil && !s.stopped {
		s.Connected.Add(-1)
	}
	s.stopped = true
	if s.timer != nil {
		s.timer.Stop()
	}
}
