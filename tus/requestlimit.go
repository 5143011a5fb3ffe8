package tus

import (
	"net/url"
	"sync"
	"time"
)

// minPatience is the number of requests that must be acknowledged before their limit is
// raised. It doubles with each failure of the larger size.
const minPatience = 8

// requestLimit is the maximum size of the requests to a server, once one that was interrupted
// left nothing there: a proxy that buffers requests passes on only those that it received
// completely. All uploads of a client share it.
type requestLimit struct {
	mu        sync.Mutex
	size      int64 // in bytes; 0 for none
	passed    int   // requests of that size in a row
	patience  int   // how many must pass before size is raised
	raised    bool  // size was raised, and no request of that size acknowledged yet
	roundTrip time.Duration
}

// limitOf returns the limit for an upload to the external URL, or to a new one if that is nil.
func (c *Client) limitOf(external *url.URL) *requestLimit {
	if external != nil { // it may be of another server
		return new(requestLimit)
	}
	return &c.limit
}

func (l *requestLimit) get() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

func (l *requestLimit) set(size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size, l.passed, l.raised = size, 0, false
}

// raise doubles the limit, if there is one.
func (l *requestLimit) raise() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 {
		l.raiseLocked()
	}
}

func (l *requestLimit) raiseLocked() { l.size, l.passed, l.raised = 2*l.size, 0, true }

// lost lowers the limit after a request of size bytes left nothing on the server. It returns
// the new limit, or 0 if that is not lower.
func (l *requestLimit) lost(size, least int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passed = 0
	if l.raised {
		l.patience, l.raised = 2*max(l.patience, minPatience), false
	}
	half := max(min(size/2, firstChunk)/chunkUnit*chunkUnit, least)
	if l.size > 0 && half >= l.size {
		return 0
	}
	l.size = half
	return half
}

// succeeded counts a request that was acknowledged, and doubles the limit after enough of
// that size.
func (l *requestLimit) succeeded(size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size == 0 || size < l.size {
		return
	}
	l.raised = false
	if l.passed++; l.passed >= max(l.patience, minPatience) {
		l.raiseLocked()
	}
}

// failed records a request that failed.
func (l *requestLimit) failed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passed = 0
}

// answered records how long the response to a request without a body took.
func (l *requestLimit) answered(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.roundTrip == 0 || took < l.roundTrip {
		l.roundTrip = took
	}
}

// fastest returns the shortest time of a request without a body, 0 if there was none.
func (l *requestLimit) fastest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.roundTrip
}
