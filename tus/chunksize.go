package tus

import (
	"math"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

const (
	// firstChunk is the size of the first request of an upload, and of the first one after
	// an interrupted request left nothing on the server.
	firstChunk = 16 << 20
	// chunkTime is how long a later request takes at the rate of the one before.
	chunkTime = time.Minute
	// minChunk is the minimum to which the size of requests adapts.
	minChunk = 1 << 20
	// minRoundTrips is how many round trips a request takes at least, so that they cost at
	// most 2 % of the time.
	minRoundTrips = 50
	// chunkUnit divides adapted sizes: some services require multiples of 256 KiB.
	chunkUnit = 256 << 10
)

// chunkSizer chooses the size of the chunks of one transfer. Unless ChunkSize is set, an
// interruption costs at most the first chunk, or what the link sends in about a minute, even
// if a proxy buffers requests and so nothing of the chunk is on the server.
type chunkSizer struct {
	size      int64   // ChunkSize, or the size after a 413; 0 if the size adapts
	least     int64   // minimum of a size that adapts
	most      int64   // maximum of a size that adapts; 0 for none
	perSecond float64 // bytes, of the last chunk that was acknowledged; 0 if none was
	cut       int64   // size of the chunk that was interrupted; 0 for none
	cutWhole  bool    // all bytes of it were sent
	limit     *requestLimit
}

func newChunkSizer(opts *UploadOptions, limit *requestLimit) *chunkSizer {
	return &chunkSizer{size: opts.ChunkSize, least: max(minChunk, opts.MinChunkSize), limit: limit}
}

// ofPart returns the sizer of a part.
func (c *chunkSizer) ofPart() *chunkSizer {
	part := *c
	return &part
}

// adapts reports whether neither the caller nor the server sets the size.
func (c *chunkSizer) adapts() bool { return c.size == 0 }

// bound sets the minimum and maximum of a size that adapts.
func (c *chunkSizer) bound(least, most int64) {
	if c.most == 0 {
		c.least, c.most = least, most
	}
}

// next returns the maximum size of the next chunk.
func (c *chunkSizer) next() int64 {
	if !c.adapts() {
		return c.size
	}
	size := int64(firstChunk)
	if c.perSecond > 0 {
		size = c.during(chunkTime)
	}
	if limit := c.limit.get(); limit > 0 {
		size = min(size, limit)
	}
	if c.most > 0 {
		size = min(size, c.most)
	}
	return max(size/chunkUnit*chunkUnit, c.least)
}

// known returns the maximum that is set or was learned, 0 for none.
func (c *chunkSizer) known() int64 {
	switch limit := c.limit.get(); {
	case !c.adapts():
		return c.size
	case limit > 0 && c.most > 0:
		return min(limit, c.most)
	default:
		return max(limit, c.most)
	}
}

// during returns how many bytes the link sends in a time, 0 if that is unknown.
func (c *chunkSizer) during(d time.Duration) int64 {
	return int64(min(c.perSecond*d.Seconds(), math.MaxInt64/2))
}

// halve halves the size after a chunk of size bytes was too large, down to floor. It
// returns false if it cannot; a floor of 0 forbids it.
func (c *chunkSizer) halve(size, floor int64) bool {
	if floor == 0 || size <= floor {
		return false
	}
	half := size / 2
	if half > chunkUnit {
		half -= half % chunkUnit
	}
	c.size = max(half, floor)
	return true
}

// succeeded records a chunk that was acknowledged.
func (c *chunkSizer) succeeded(size int64, took time.Duration) {
	c.cut = 0
	if size >= chunkUnit {
		c.perSecond = float64(size) / max(took, time.Microsecond).Seconds()
	}
	if c.adapts() {
		c.limit.succeeded(size)
	}
}

// failed records a chunk that failed, and whether it was interrupted after enough bytes that
// the server should have some of them.
func (c *chunkSizer) failed(size, sent int64, interrupted bool) {
	c.cut = 0
	c.limit.failed()
	if interrupted && sent >= min(c.least, minChunk, size) {
		c.cut, c.cutWhole = size, sent >= size
	}
}

// recovered records whether the server kept some bytes of the chunk that was interrupted. It
// returns the new limit of requests if it kept none and that lowers the limit, otherwise 0.
func (c *chunkSizer) recovered(kept bool) (lowered int64) {
	cut := c.cut
	c.cut = 0
	switch {
	case cut == 0 || !c.adapts():
		return 0
	case kept && c.cutWhole: // a proxy may have begun to pass it on
		c.limit.raise()
		return 0
	case kept:
		c.limit.set(0)
		return 0
	}
	return c.lost(cut)
}

// lost lowers the limit after a request of size bytes left nothing on the server. It does not
// fall so far that round trips cost much, unless even a request of that size was lost.
func (c *chunkSizer) lost(size int64) (lowered int64) {
	least := c.least
	if cheap := c.during(minRoundTrips * c.limit.fastest()); cheap < size {
		least = max(least, cheap)
	}
	return c.limit.lost(size, least)
}

// resume uses what an earlier session has stored. The server has offset bytes now.
func (c *chunkSizer) resume(rec storage.Record, offset int64) (lowered int64) {
	p := rec.Progress
	if p == nil || !c.adapts() {
		return 0
	}
	if p.Limit > 0 && c.limit.get() == 0 {
		c.limit.set(p.Limit)
	}
	switch {
	case p.InFlight == 0:
	case offset <= p.Acknowledged:
		return c.lost(p.InFlight)
	case len(rec.Parts) == 0 && offset < p.Acknowledged+p.InFlight: // not for parts, which may be complete
		c.limit.raise()
	}
	return 0
}
