package main

import (
	"bufio"
	"io"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// noLimit permits reading a body to its end.
	noLimit = math.MaxInt64
	// minProgress is the number of bytes that a browser must send in options.idleTimeout.
	minProgress = 16 << 10
	// responseTimeout is the timeout for the rest of the body after the response, and for
	// the browser to read the response.
	responseTimeout = 20 * time.Second
)

// body is the body of a request with deadlines and limits.
type body struct {
	io.Closer
	buffered *bufio.Reader // multipart reads 4 KiB at a time
	limit    int64         // maximum size in bytes
	allowed  int64         // bytes before errHead; owned by the reading goroutine
	started  bool          // bytes have arrived; owned by the reading goroutine

	headTimeout time.Duration

	interrupted atomic.Bool // by SetReadDeadline
	deadline    deadline
}

func newBody(w http.ResponseWriter, r *http.Request, opts options) *body {
	b := &body{Closer: r.Body, limit: opts.maxBytes, allowed: noLimit, headTimeout: opts.headTimeout}
	b.deadline.control = http.NewResponseController(w)
	const size = 64 << 10
	b.buffered = bufio.NewReaderSize(&idleReader{
		r:        http.MaxBytesReader(w, r.Body, opts.maxBytes),
		deadline: &b.deadline,
		timeout:  opts.idleTimeout,
		left:     opts.idleTimeout,
	}, size)
	return b
}

// allow permits reading n more bytes within a time; 0 means no time limit.
func (b *body) allow(n int64, within time.Duration) {
	b.allowed = n
	var end time.Time
	if within > 0 {
		end = time.Now().Add(within)
	}
	b.deadline.bound(end)
}

// Read returns errHead after the allowed number of bytes.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.allowed <= 0 {
		return 0, errHead
	}
	n, err := b.buffered.Read(p[:min(int64(len(p)), b.allowed)])
	b.allowed -= int64(n)
	b.started = b.started || n > 0
	return n, err
}

// SetReadDeadline ends the current Read and later ones. The zero time removes the deadline.
func (b *body) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		b.interrupted.Store(true)
	}
	return b.deadline.set(t)
}

// interrupt ends all reads.
func (b *body) interrupt() { _ = b.SetReadDeadline(time.Unix(1, 0)) }

// rest sets the deadlines for the response and for the unread rest of the body. It is
// called when the body is not read any more. Later deadlines are those of the server, also
// for further requests on the connection.
func (b *body) rest() {
	t := time.Now().Add(responseTimeout)
	// The write deadline of the server has passed if the form took long. The response may
	// follow the rest of the body.
	_ = b.deadline.control.SetWriteDeadline(t.Add(responseTimeout))
	b.deadline.end(t)
}

// idleReader fails if it waits longer than timeout for minProgress bytes. Only the time in
// Read counts: while the tus server is slow, the gateway does not read.
type idleReader struct {
	r        io.Reader
	deadline *deadline
	timeout  time.Duration
	left     time.Duration // of timeout
	received int           // bytes since left was reset
}

func (r *idleReader) Read(p []byte) (int, error) {
	start := time.Now()
	r.deadline.renew(start.Add(r.left))
	n, err := r.r.Read(p)
	r.left -= time.Since(start)
	if r.received += n; r.received >= minProgress {
		r.left, r.received = r.timeout, 0
	}
	return n, err
}

// deadline is the read deadline of a connection: the earliest of the idle timeout, the
// deadline that was set, and the deadline of a part of the form.
type deadline struct {
	control *http.ResponseController

	mu    sync.Mutex
	cut   time.Time // the deadline that was set; zero for none
	part  time.Time // deadline of a part of the form; zero for none
	ended bool      // the connection may already serve another request
}

// renew sets the idle deadline. It ignores errors: httptest.ResponseRecorder has no deadlines.
func (d *deadline) renew(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, earlier := range []time.Time{d.cut, d.part} {
		if !earlier.IsZero() && earlier.Before(t) {
			t = earlier
		}
	}
	if !d.ended {
		_ = d.control.SetReadDeadline(t)
	}
}

// bound sets the deadline of a part of the form. It takes effect at the next renew.
func (d *deadline) bound(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.part = t
}

func (d *deadline) set(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut = t
	if d.ended { // no Read is running
		return nil
	}
	return d.control.SetReadDeadline(t)
}

// end sets the deadline for the last time.
func (d *deadline) end(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	_ = d.control.SetReadDeadline(t)
}
