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
	// noLimit lets a body be read to its end.
	noLimit = math.MaxInt64
	// leastProgress is how many bytes a browser must send in options.idleTimeout.
	leastProgress = 16 << 10
	// answerTimeout is how long the server may read what the answer did not wait for,
	// and how long the browser may take for the answer.
	answerTimeout = 20 * time.Second
)

// body is the body of a request whose browser must keep sending.
type body struct {
	io.Closer
	buffered *bufio.Reader // multipart reads 4 KiB at a time
	limit    int64         // of the whole, in bytes
	allowed  int64         // bytes, before errHead; the reading goroutine's
	begun    bool          // something arrived; likewise

	headTimeout time.Duration

	interrupted atomic.Bool // by SetReadDeadline
	deadline    deadline
}

func newBody(w http.ResponseWriter, r *http.Request, opts options) *body {
	b := &body{Closer: r.Body, limit: opts.maxBytes, allowed: noLimit, headTimeout: opts.headTimeout}
	b.deadline.control = http.NewResponseController(w)
	const size = 64 << 10
	b.buffered = bufio.NewReaderSize(&patient{
		r:        http.MaxBytesReader(w, r.Body, opts.maxBytes),
		deadline: &b.deadline,
		patience: opts.idleTimeout,
		left:     opts.idleTimeout,
	}, size)
	return b
}

// allow lets n more bytes be read, in that time; 0 is no limit on it.
func (b *body) allow(n int64, within time.Duration) {
	b.allowed = n
	var end time.Time
	if within > 0 {
		end = time.Now().Add(within)
	}
	b.deadline.bound(end)
}

// Read fails with errHead when more is read than was allowed.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.allowed <= 0 {
		return 0, errHead
	}
	n, err := b.buffered.Read(p[:min(int64(len(p)), b.allowed)])
	b.allowed -= int64(n)
	b.begun = b.begun || n > 0
	return n, err
}

// SetReadDeadline makes a Read end, also one that is under way. The zero time
// takes it back.
func (b *body) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		b.interrupted.Store(true)
	}
	return b.deadline.set(t)
}

// interrupt ends the reading for good.
func (b *body) interrupt() { _ = b.SetReadDeadline(time.Unix(1, 0)) }

// rest is called when nothing more is read and the answer is given. From then on the
// deadlines are those of the server, and of the further requests on the connection.
func (b *body) rest() {
	t := time.Now().Add(answerTimeout)
	// That of the server began with the request, which may be hours ago. The answer may
	// be sent after the rest of the body.
	_ = b.deadline.control.SetWriteDeadline(t.Add(answerTimeout))
	b.deadline.end(t)
}

// patient waits for so long until leastProgress more bytes came. Only waiting counts:
// that nothing is read while the tus server is slow is not the fault of the browser.
type patient struct {
	r        io.Reader
	deadline *deadline
	patience time.Duration
	left     time.Duration // of it
	came     int           // bytes, since it was whole
}

func (p *patient) Read(buf []byte) (int, error) {
	begun := time.Now()
	p.deadline.renew(begun.Add(p.left))
	n, err := p.r.Read(buf)
	p.left -= time.Since(begun)
	if p.came += n; p.came >= leastProgress {
		p.left, p.came = p.patience, 0
	}
	return n, err
}

// deadline is the read deadline of a connection: that of the browser, or what was
// set, or that of a part of the form, if those are earlier.
type deadline struct {
	control *http.ResponseController

	mu    sync.Mutex
	cut   time.Time // what was set; zero for nothing
	part  time.Time // when a part of the form must have come; zero for any time
	ended bool      // the connection is not ours any more
}

// renew ignores errors: some servers, such as those of tests, have no deadlines.
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

// bound sets when a part of the form must have come, from the next renewal on.
func (d *deadline) bound(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.part = t
}

func (d *deadline) set(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut = t
	if d.ended { // and so is every Read
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
