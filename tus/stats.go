package tus

import (
	"maps"
	"sync"
	"time"
)

// Stats counts what an upload has cost so far, in this process.
type Stats struct {
	// ResumedFrom is the number of bytes that the server already had when this
	// [Uploader] first heard of the upload; 0 for a new one.
	ResumedFrom int64
	// Acknowledged is the number of bytes that the server confirmed since then.
	Acknowledged int64
	// Sent is the number of bytes of the source that were handed to the network.
	Sent int64
	// Resent is the part of Sent that had been sent before.
	Resent int64
	// Requests counts requests by method.
	Requests map[string]int
	// Retries counts failures that were retried.
	Retries int
	// Recoveries counts the times that the offset had to be asked for after a
	// failure.
	Recoveries int
	// Recreations counts uploads, or parts of a parallel one, that had to begin
	// again from zero because the server forgot them (404 or 410) or has something
	// of another length in their place, in this session or since an earlier one, or
	// because their source can be read from its beginning only
	// ([ErrNotRecoverable]).
	Recreations int
	// Held counts stored uploads of the same source that were left to the Uploader
	// that holds them. See [UploadOptions.Held].
	Held int
	// Discarded counts stored uploads of the same source that could not be resumed:
	// they are gone from the store or the server, belong to another source, or their
	// records are corrupt.
	Discarded int
	// RepeatedFinals counts how often the final upload of a parallel one was
	// asked for again after the answer was lost. Each may have left a complete
	// upload on the server besides the one in the result.
	RepeatedFinals int
	// Elapsed is the time since the first step, until the upload ended.
	Elapsed time.Duration
}

// TotalRequests is the sum of Requests.
func (s Stats) TotalRequests() int {
	total := 0
	for _, n := range s.Requests {
		total += n
	}
	return total
}

// Rate is the acknowledged bytes per second of Elapsed, 0 before the first step.
func (s Stats) Rate() float64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return float64(s.Acknowledged) / s.Elapsed.Seconds()
}

// counters count for one upload. Their methods may be called from any goroutine; a nil
// *counters counts nothing.
type counters struct {
	onMoved func()    // after bytes moved; may be nil
	parent  *counters // of the parallel upload that this is a part of; may be nil

	mu       sync.Mutex
	stats    Stats
	started  time.Time
	ended    time.Time
	position int64 // offset up to which the current request has sent
	high     int64 // highest offset ever sent
	known    int64 // highest offset ever acknowledged
}

func (c *counters) update(f func(*Stats)) {
	if c == nil {
		return
	}
	c.mu.Lock()
	f(&c.stats)
	c.mu.Unlock()
	c.parent.update(f)
}

func (c *counters) request(method string) {
	c.update(func(s *Stats) {
		if s.Requests == nil {
			s.Requests = map[string]int{}
		}
		s.Requests[method]++
	})
}

// acknowledge notes an offset of the server, and returns how far it is above all before.
func (c *counters) acknowledge(offset int64) (gain int64) {
	gain = c.advance(offset)
	c.update(func(s *Stats) { s.Acknowledged += gain })
	return gain
}

// resumeAt notes that the server had offset bytes before this session.
func (c *counters) resumeAt(offset int64) {
	gain := c.advance(offset)
	c.update(func(s *Stats) { s.ResumedFrom += gain })
}

func (c *counters) advance(offset int64) (gain int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gain = max(0, offset-c.known)
	c.known += gain
	return gain
}

// begin notes that a request starts to send from offset.
func (c *counters) begin(offset int64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.position = offset
	c.mu.Unlock()
}

// moved notes n bytes handed to the network.
func (c *counters) moved(n int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	again := min(int64(n), max(0, c.high-c.position))
	c.position += int64(n)
	c.high = max(c.high, c.position)
	c.mu.Unlock()
	c.update(func(s *Stats) {
		s.Sent += int64(n)
		s.Resent += again
	})
	if c.onMoved != nil {
		c.onMoved()
	}
}

// sentUpTo is the offset up to which bytes are on the way.
func (c *counters) sentUpTo() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.position
}

func (c *counters) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started.IsZero() {
		c.started = time.Now()
	}
	c.ended = time.Time{}
}

func (c *counters) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = time.Now()
}

func (c *counters) snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Requests = maps.Clone(s.Requests)
	switch {
	case c.started.IsZero():
	case c.ended.IsZero():
		s.Elapsed = time.Since(c.started)
	default:
		s.Elapsed = c.ended.Sub(c.started)
	}
	return s
}
