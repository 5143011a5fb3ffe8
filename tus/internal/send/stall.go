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

// StallTimer cuts a request on which no byte moves and no response arrives. There is no
// total timeout, so a slow link may take any time. The timer is paused while the request
// waits for code of the caller (a hook, a rate limit, the source). The exported fields
// must be set before Start.
type StallTimer struct {
	Timeout  time.Duration // for bytes; 0 or less for none
	Response time.Duration // for the response after the whole request was sent; 0 or less for none
	Cut      context.CancelCauseFunc
	Err      error // wrapped by the cause that is passed to Cut
	// Connected counts the requests that have a connection, if the transport limits the
	// number of connections: a request may then wait for the connection of another one.
	// nil if there is no limit.
	Connected *atomic.Int32

	start   time.Time    // monotonic, so that a jump of the clock cuts no request
	last    atomic.Int64 // nanoseconds from start to the last movement
	pauses  atomic.Int32
	interim atomic.Int32 // number of interim responses
	kernel  atomic.Int64 // nanoseconds from start to the current call of the kernel that sends a file; 0 for none

	mu        sync.Mutex
	timer     *time.Timer
	conn      net.Conn // of the request; nil if unknown
	dialed    int      // number of connections that were made for the request
	queued    int      // bytes in the send queue of conn at the last check, -1 if unknown
	dialing   bool     // a connection is being made for the request
	wanted    bool     // the transport, one of net/http, looks for a connection
	written   bool     // the whole request was written to conn
	responded bool     // the header of the response arrived
	stopped   bool
}

const (
	// maxInterim is how many interim responses of a request count as movement. A server
	// that sends nothing else could keep a request open forever.
	maxInterim = 100
	// maxDialed is how many connections the transport may make for one request. Without
	// it, the transport makes another one each time an HTTP/2 server closes one (GOAWAY)
	// before it accepts the request.
	maxDialed = 10
	// maxQueuing is how many timeouts a request may wait for a connection of another
	// client, which may send a large file over it. The wait has a limit because a custom
	// dialer that hangs looks the same.
	maxQueuing = 100
)

// Start starts the timer. The caller must call Stop.
func (s *StallTimer) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start, s.queued = time.Now(), -1
	if interval := s.interval(); interval > 0 {
		s.timer = time.AfterFunc(interval, s.check)
	}
}

// interval returns the longest time between two checks, 0 if there is no timeout.
func (s *StallTimer) interval() (shortest time.Duration) {
	for _, limit := range []time.Duration{s.Timeout, s.Response} {
		if limit > 0 && (shortest == 0 || limit/2 < shortest) {
			shortest = max(1, limit/2)
		}
	}
	return shortest
}

// Trace returns the callbacks with which the transport reports its progress.
func (s *StallTimer) Trace() *httptrace.ClientTrace {
	trace := &httptrace.ClientTrace{
		GetConn:        func(string) { s.set(&s.wanted) },
		GotConn:        s.gotConn,
		Got1xxResponse: func(int, textproto.MIMEHeader) error { s.gotInterim(); return nil },
		WroteRequest:   s.wrote,
	}
	if s.Connected != nil {
		trace.DNSStart = func(httptrace.DNSStartInfo) { s.set(&s.dialing) }
		trace.ConnectStart = func(string, string) { s.set(&s.dialing) }
		trace.TLSHandshakeStart = func() { s.set(&s.dialing) }
	}
	return trace
}

// set sets a flag of s.
func (s *StallTimer) set(flag *bool) {
	s.mu.Lock()
	*flag = true
	s.mu.Unlock()
}

// moved records that a byte moved or a response arrived.
func (s *StallTimer) moved() { s.last.Store(int64(time.Since(s.start))) }

// gotConn records the connection of the request.
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
	if s.dialed++; s.dialed > maxDialed {
		s.Cut(fmt.Errorf("%w: none of %d connections accepted the request", s.Err, s.dialed))
	}
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

// gotInterim records an interim response (1xx).
func (s *StallTimer) gotInterim() {
	if s.interim.Add(1) <= maxInterim {
		s.moved()
	}
}

// sent records that the transport has read bytes of the body; all is set for the last ones.
// The timer is paused until release is called: hooks run one at a time, so the report of
// these bytes may wait for a hook of another part.
func (s *StallTimer) sent(all bool) (release func()) {
	s.mu.Lock()
	s.written = all && s.conn == nil // with a conn, the transport calls wrote
	s.mu.Unlock()
	return s.Pause()
}

// wrote records that the transport has written the request to the connection.
func (s *StallTimer) wrote(info httptrace.WroteRequestInfo) {
	if info.Err == nil {
		s.set(&s.written)
		s.moved()
	}
}

// GotResponse records that the header of the response arrived. Timeout then limits the
// wait for its body.
func (s *StallTimer) GotResponse() {
	s.set(&s.responded)
	s.moved()
}

// HasConn reports whether the request got a connection. With TLS, the handshake then
// succeeded.
func (s *StallTimer) HasConn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil
}

// Pause pauses the timer until release is called.
func (s *StallTimer) Pause() (release func()) {
	s.pauses.Add(1)
	return func() {
		s.moved()
		s.pauses.Add(-1)
	}
}

// kernelSends records that the kernel sends a slice of a file until done is called. The
// kernel may wait for the socket or for the file.
func (s *StallTimer) kernelSends() (done func()) {
	s.kernel.Store(max(1, int64(time.Since(s.start))))
	return func() { s.kernel.Store(0) }
}

// kernelReads reports whether the kernel waits for the file that it sends: the send queue
// is empty or, if that is unknown, the call takes longer than it may wait for the socket.
func (s *StallTimer) kernelReads(queued int) bool {
	began := time.Duration(s.kernel.Load())
	switch {
	case began == 0:
		return false
	case queued < 0:
		return time.Since(s.start)-began > 2*kernelTimeout
	}
	return queued == 0
}

// check cuts the request if nothing moved for its timeout. It runs at least twice per
// timeout: after one check has measured the send queue, the next one detects whether it
// shrank. On a slow link the queue may take minutes to drain.
func (s *StallTimer) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	queued := -1
	if !multiplexed(s.conn) { // otherwise other requests fill and drain the queue
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
	if s.written && !s.responded && queued <= 0 {
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

// awaitsConn reports whether the request may be waiting for the connection of another
// request of this client, or of another client with the same transport. The caller must
// hold s.mu.
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
