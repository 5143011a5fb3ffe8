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

// noLimit lets a body be read to its end.
const noLimit = math.MaxInt64

// body is the body of a request whose browser must keep sending.
type body struct {
	io.Closer
	buffered *bufio.Reader // multipart reads 4 KiB at a time
	limit    int64         // of the whole, in bytes
	allowed  int64         // bytes, before errHead; the reading goroutine's

	interrupted atomic.Bool // by SetReadDeadline
	deadline    deadline
}

func newBody(w http.ResponseWriter, r *http.Request, opts options) *body {
	b := &body{Closer: r.Body, limit: opts.maxBytes, allowed: noLimit}
	b.deadline = deadline{control: http.NewResponseController(w), idle: opts.idleTimeout}
	const size = 64 << 10
	b.buffered = bufio.NewReaderSize(&patient{http.MaxBytesReader(w, r.Body, opts.maxBytes), &b.deadline}, size)
	return b
}

// allow lets n more bytes be read.
func (b *body) allow(n int64) { b.allowed = n }

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

// rest takes the deadline off the connection, which may serve further requests.
func (b *body) rest() { b.deadline.clear() }

// patient renews the deadline with every read.
type patient struct {
	r        io.Reader
	deadline *deadline
}

func (p *patient) Read(buf []byte) (int, error) {
	p.deadline.renew()
	return p.r.Read(buf)
}

// deadline is the read deadline of a connection: idle from the last read on, or
// what was set, if that is earlier.
type deadline struct {
	control *http.ResponseController
	idle    time.Duration

	mu  sync.Mutex
	cut time.Time // what was set; zero for nothing
}

// renew ignores errors: some servers, such as those of tests, have no deadlines.
func (d *deadline) renew() {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := time.Now().Add(d.idle)
	if !d.cut.IsZero() && d.cut.Before(t) {
		t = d.cut
	}
	_ = d.control.SetReadDeadline(t)
}

func (d *deadline) set(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut = t
	return d.control.SetReadDeadline(t)
}

func (d *deadline) clear() { _ = d.set(time.Time{}) }
