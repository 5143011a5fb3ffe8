package tus_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pause interrupts an upload at its nth request.
type pause struct {
	request int
	when    pausePlace
	bytes   int64 // of the body, for inBody
	cancel  bool  // the context, rather than Uploader.Pause
	leave   bool  // for another session
}

type pausePlace int

const (
	beforeRequest pausePlace = iota
	inBody
	afterAnswer
)

// breaks interrupts uploads by their requests. It counts them over all sessions.
type breaks struct {
	t      testing.TB
	bubble bool
	done   atomic.Int64

	mu     sync.Mutex
	pauses []pause
	count  int
	stop   func(pause)
	leave  bool
}

// arm says how uploads are interrupted from now on. The function returned tells
// whether the last pause leaves the upload to a later session.
func (b *breaks) arm(stop func(pause)) (leave func() bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop, b.leave = stop, false
	return func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.leave
	}
}

func (b *breaks) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pauses = nil
}

// next is the pause for the request that begins, if there is one.
func (b *breaks) next() (pause, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	for i, p := range b.pauses {
		if p.request == b.count {
			b.pauses = slices.Delete(slices.Clone(b.pauses), i, i+1)
			return p, true
		}
	}
	return pause{}, false
}

func (b *breaks) do(p pause) {
	b.mu.Lock()
	stop := b.stop
	b.leave = p.leave
	b.mu.Unlock()
	b.done.Add(1)
	stop(p)
}

// over is a transport with the pauses.
func (b *breaks) over(transport http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		begin := time.Now()
		defer func() {
			if took := time.Since(begin); b.bubble && took > longest(r) {
				b.t.Errorf("%s takes %v", r.Method, took)
			}
		}()
		p, ok := b.next()
		if !ok {
			return transport.RoundTrip(r)
		}
		switch {
		case p.when == beforeRequest:
			b.do(p)
		case p.when == inBody && r.Body != nil:
			request := *r // and not a Clone, whose trailer would be another
			request.Body = &breakingBody{ReadCloser: r.Body, left: p.bytes, then: func() { b.do(p) }}
			request.GetBody = nil
			r = &request
		}
		resp, err := transport.RoundTrip(r)
		if p.when == afterAnswer && err == nil {
			b.do(p)
		}
		return resp, err
	})
}

// longest is how long a request may take, by a clock that only waits move: the
// response timeout after the bytes have moved, at the least rate of
// the faults (of which the buffers of net/http leave a half at worst). A final
// upload has ten minutes more.
func longest(r *http.Request) time.Duration {
	limit := time.Minute
	if carriesBytes(r) {
		limit += 5 * time.Minute
	}
	if r.ContentLength != 0 {
		limit += 2 * largestSource / slowestRate * time.Second
	}
	if strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;") {
		limit += 10 * time.Minute
	}
	return limit
}

// breakingBody does something once when so many bytes have been read.
type breakingBody struct {
	io.ReadCloser
	left int64
	then func()
}

func (b *breakingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left <= 0 && b.then != nil {
		b.then()
		b.then = nil
	}
	return n, err
}
