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

// watchdog cuts a request on which nothing moves: no byte of the body, no
// answer. It bounds silence, not duration, so a slow link may take as long as
// it needs.
type watchdog struct {
	timeout time.Duration
	cut     context.CancelCauseFunc
	start   time.Time    // monotonic, so that a clock that jumps cuts nothing
	last    atomic.Int64 // nanoseconds from start to the last movement
	holds   atomic.Int32
	interim atomic.Int32 // answers that were not the last, since bytes moved

	// crowd counts the requests that have a connection, where the transport allows
	// only so many: as long as there are others, a request may have to wait for one
	// of theirs. nil if there is no limit.
	crowd *atomic.Int32

	mu      sync.Mutex
	timer   *time.Timer
	conn    net.Conn // that carries the request, once known
	queued  int      // bytes in its send queue at the last look, -1 if unknown
	dialing bool     // a connection is being made for the request
	wanted  bool     // the transport, which then is one of net/http, looks for a connection
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

// watch starts a watchdog, which must be stopped. A timeout of zero or less
// watches nothing.
func watch(timeout time.Duration, crowd *atomic.Int32, cut context.CancelCauseFunc) *watchdog {
	w := &watchdog{timeout: timeout, cut: cut, start: time.Now(), crowd: crowd, queued: -1}
	if timeout > 0 {
		w.mu.Lock()
		w.timer = time.AfterFunc(timeout/2, w.look)
		w.mu.Unlock()
	}
	return w
}

// trace tells the watchdog what the transport does for the request.
func (w *watchdog) trace() *httptrace.ClientTrace {
	trace := &httptrace.ClientTrace{
		GetConn:        func(string) { w.wants() },
		GotConn:        func(info httptrace.GotConnInfo) { w.connected(info.Conn) },
		Got1xxResponse: func(int, textproto.MIMEHeader) error { w.informed(); return nil },
	}
	if w.crowd != nil {
		trace.DNSStart = func(httptrace.DNSStartInfo) { w.dials() }
		trace.ConnectStart = func(string, string) { w.dials() }
		trace.TLSHandshakeStart = w.dials
	}
	return trace
}

// moved notes that a byte moved or an answer arrived.
func (w *watchdog) moved() {
	if w.timeout > 0 {
		w.last.Store(int64(time.Since(w.start)))
	}
}

// connected tells which connection carries the request.
func (w *watchdog) connected(c net.Conn) {
	w.mu.Lock()
	if w.crowd != nil && w.conn == nil && !w.stopped {
		w.crowd.Add(1)
	}
	w.conn, w.queued = c, -1
	w.mu.Unlock()
	w.moved()
}

// wants notes that the transport looks for a connection.
func (w *watchdog) wants() {
	w.mu.Lock()
	w.wanted = true
	w.mu.Unlock()
}

// neverSent reports whether the transport found no connection for the request.
func (w *watchdog) neverSent() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wanted && w.conn == nil
}

// dials notes that a connection is being made, so that none of others is waited for.
func (w *watchdog) dials() {
	w.mu.Lock()
	w.dialing = true
	w.mu.Unlock()
}

// informed notes an answer that is not the last (1xx).
func (w *watchdog) informed() {
	if w.interim.Add(1) <= maxInterim {
		w.moved()
	}
}

// sent notes that bytes of the body left. It is quiet until told is called: hooks run
// one at a time, so that to tell of it may have to wait for one of another part.
func (w *watchdog) sent() (told func()) {
	w.interim.Store(0)
	return w.hold()
}

// hasConn reports whether there was a connection for the request, which for TLS
// means that the handshake had succeeded.
func (w *watchdog) hasConn() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.conn != nil
}

// hold keeps the watchdog quiet while the caller's own rate limit or hook makes us
// wait; the function returned lets it go on.
func (w *watchdog) hold() (release func()) {
	w.holds.Add(1)
	return func() {
		w.moved()
		w.holds.Add(-1)
	}
}

// look runs twice per timeout: the first look at a silent connection takes the
// measure of its send queue, the second sees whether it shrank. Bytes that the
// kernel took from us may need minutes to drain on a slow link.
func (w *watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	if queued := unsentBytes(w.conn); queued >= 0 {
		if w.queued >= 0 && queued < w.queued {
			w.moved()
		}
		w.queued = queued
	}
	if w.holds.Load() > 0 || w.queues() {
		w.moved()
	}
	silent := time.Since(w.start) - time.Duration(w.last.Load())
	if silent >= w.timeout {
		w.cut(fmt.Errorf("%w: nothing moved for %v", ErrStalled, w.timeout))
		return
	}
	next := w.timeout/2 - silent
	if next <= 0 {
		next = w.timeout - silent
	}
	w.timer.Reset(next)
}

// queues reports whether the request may be waiting for a connection of another: of
// this client, or for a while of anybody, as a transport can be shared. It needs the
// lock.
func (w *watchdog) queues() bool {
	if w.crowd == nil || w.conn != nil || w.dialing {
		return false
	}
	return w.crowd.Load() > 0 || time.Since(w.start) < maxQueuing*w.timeout
}

func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.crowd != nil && w.conn != nil && !w.stopped {
		w.crowd.Add(-1)
	}
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
}
