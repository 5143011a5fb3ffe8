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
	cancel  bool  // cancel the context instead of calling Uploader.Pause
	leave   bool  // continue in another session
}

type pausePlace int

const (
	beforeRequest pausePlace = iota
	inBody
	afterResponse
)

// breaks interrupts uploads at their requests, which it counts over all sessions.
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

// arm sets how uploads are interrupted. The function returned reports whether the last
// pause leaves the upload to a later session.
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

// next returns the pause for the request that starts, if there is one.
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

// over returns a transport with the pauses.
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
			request := *r // a Clone would have another Trailer
			request.Body = &breakingBody{ReadCloser: r.Body, left: p.bytes, then: func() { b.do(p) }}
			request.GetBody = nil
			r = &request
		}
		resp, err := transport.RoundTrip(r)
		if p.when == afterResponse && err == nil {
			b.do(p)
		}
		return resp, err
	})
}

// longest returns how long a request may take by the fake clock: the time to move its
// bytes at the lowest rate of the faults, half of which the buffers of net/http may take,
// and the response timeout. A final upload has ten minutes more.
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

// breakingBody calls a function once, after a number of bytes was read.
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
