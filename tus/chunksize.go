package tus

const (
	// minChunk is the minimum to which the chunk size adapts.
	minChunk = 1 << 20
	// minPatience is the number of chunks that must be acknowledged before the size is
	// raised. It doubles with each failure of the larger size.
	minPatience = 8
	// chunkUnit divides adapted sizes: some services require multiples of 256 KiB.
	chunkUnit = 256 << 10
)

// chunkSizer chooses the size of chunks. Unless ChunkSize is set, it lowers the size after
// a chunk was cut and the server kept nothing of it, as behind a proxy that buffers a whole
// request for longer than ResponseTimeout. It raises the size after a number of chunks was
// acknowledged.
type chunkSizer struct {
	size         int64 // maximum size of the next chunk; 0 for no limit
	adapts       bool  // neither the caller nor the server sets the size
	least        int64 // minimum of size
	most         int64 // maximum of size; 0 for no limit
	cut          int64 // size of the chunk that was cut, or the bytes sent if size is 0; 0 for none
	acknowledged int   // chunks in a row
	patience     int   // acknowledged chunks before size is raised
	grown        bool  // size was raised, and no chunk of that size acknowledged yet
}

func newChunkSizer(opts *UploadOptions) *chunkSizer {
	return &chunkSizer{size: opts.ChunkSize, adapts: opts.ChunkSize == 0, least: max(minChunk, opts.MinChunkSize)}
}

// bound sets the minimum and maximum of a size that adapts.
func (c *chunkSizer) bound(least, most int64) {
	if c.adapts && c.most == 0 {
		c.least, c.most = least, most
		if c.size == 0 || c.size > most {
			c.size = most
		}
	}
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
	c.size, c.adapts = max(half, floor), false
	return true
}

// succeeded counts an acknowledged chunk, and doubles the size after enough of them.
func (c *chunkSizer) succeeded() {
	c.acknowledged++
	c.cut, c.grown = 0, false
	if c.adapts && c.size > 0 && c.size != c.most && c.acknowledged >= max(c.patience, minPatience) {
		if c.size *= 2; c.most > 0 {
			c.size = min(c.size, c.most)
		}
		c.acknowledged, c.grown = 0, true
	}
}

// failed records a failed chunk.
func (c *chunkSizer) failed() { c.acknowledged, c.cut = 0, 0 }

// wasCut records a chunk whose connection broke after sent bytes.
func (c *chunkSizer) wasCut(size, sent int64) {
	if sent <= 0 {
		return
	}
	if c.cut = size; c.size == 0 {
		c.cut = sent
	}
}

// recovered lowers the size if the server kept nothing of the chunk that was cut.
func (c *chunkSizer) recovered(kept bool) {
	cut := c.cut
	c.cut = 0
	if cut == 0 || kept || !c.adapts {
		return
	}
	if c.grown {
		c.patience, c.grown = 2*max(c.patience, minPatience), false
	}
	half := max(cut/2/chunkUnit*chunkUnit, c.least)
	if c.size == 0 || half < c.size {
		c.size = half
	}
}
