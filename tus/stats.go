package tus

import (
	"maps"
	"sync"
	"time"
)

// Stats has the counters of an [Uploader], without earlier sessions of a resumed upload.
type Stats struct {
	// ResumedFrom is the number of bytes that the server had before; 0 for a new upload.
	ResumedFrom int64
	// Uploaded is the number of bytes that the server acknowledged in this session.
	Uploaded int64
	// Sent is the number of bytes of the source that were sent.
	Sent int64
	// Resent is the number of bytes in Sent that had been sent before.
	Resent int64
	// Requests counts requests by method.
	Requests map[string]int
	// Retries counts failures that were retried.
	Retries int
	// Restarts counts uploads, or parts of a parallel upload, that restarted from zero:
	// the server no longer has them (404 or 410), has another length or refuses to show
	// them ([RefusedStartOver]), or their source can only be read from its start
	// ([ErrNotRecoverable]).
	Restarts int
	// NotResumed counts stored uploads of the source that could not be resumed: another
	// Uploader holds them (see [UploadOptions.Held]), the server refuses to show them (see
	// [UploadOptions.Refused]), they are gone from the store or the server, belong to another
	// source, or their records are corrupt.
	NotResumed int
	// RepeatedFinals counts retried requests for the final upload of a parallel upload
	// whose response was lost. Each may have left another complete upload on the server.
	RepeatedFinals int
	// RequestLimit is the maximum size in bytes of a request, 0 for none. It is set after an
	// interrupted request left nothing on the server, as behind a proxy that buffers
	// requests, in this session, in an earlier one of the upload or in another upload of the
	// client. It is 0 with [UploadOptions.ChunkSize].
	RequestLimit int64
	// Elapsed is the time from the first step to the end of the upload or its last pause;
	// to now while it runs.
	Elapsed time.Duration
}

// counters are the stats of one upload. Their methods may be called from any goroutine; a
// nil *counters counts nothing.
type counters struct {
	onMoved func()    // called after bytes were sent; may be nil
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

// acknowledge notes an offset of the server and returns its gain over the highest one
// before.
func (c *counters) acknowledge(offset int64) (gain int64) {
	gain = c.advance(offset)
	c.update(func(s *Stats) { s.Uploaded += gain })
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

// begin sets the offset from which the next request sends.
func (c *counters) begin(offset int64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.position = offset
	c.mu.Unlock()
}

// moved counts n bytes that were sent.
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

// sentUpTo returns the offset up to which bytes are in flight.
func (c *counters) sentUpTo() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.position
}

// resumedFrom returns the number of bytes that the server had before.
func (c *counters) resumedFrom() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats.ResumedFrom
}

// sent returns the number of bytes that were sent, also those that were sent again.
func (c *counters) sent() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats.Sent
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
