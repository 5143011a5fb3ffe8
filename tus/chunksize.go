package tus

const (
	// minChunk is the least size that chunks get by themselves.
	minChunk = 1 << 20
	// minPatience is how many smaller chunks have to arrive before larger ones are
	// tried again, for the first time; it doubles with each try that failed.
	minPatience = 8
	// chunkUnit divides the sizes that are chosen: services that want multiples want
	// those of 256 KiB.
	chunkUnit = 256 << 10
)

// chunkSizer chooses the size of chunks. Unless the caller sets one, chunks become
// smaller after one that was cut and of which the server kept nothing, as behind a
// proxy that buffers a whole request for longer than ResponseTimeout, and larger again
// when a number of them arrived.
type chunkSizer struct {
	size     int64 // the most bytes of a chunk; 0 for no limit
	adapts   bool  // neither the caller nor the server sets the size
	least    int64 // the size is not made smaller than that
	most     int64 // nor larger than that; 0 for no limit
	cut      int64 // size of the chunk whose connection ended, of one without limit what was sent; 0 if none did
	arrived  int   // chunks in a row
	patience int   // how many have to, before larger ones are tried again
	grown    bool  // the size was tried, and nothing of that size arrived yet
}

func newChunkSizer(opts *UploadOptions) *chunkSizer {
	return &chunkSizer{size: opts.ChunkSize, adapts: opts.ChunkSize == 0, least: max(minChunk, opts.MinChunkSize)}
}

// bound keeps a size that adapts between two others.
func (c *chunkSizer) bound(least, most int64) {
	if c.adapts && c.most == 0 {
		c.least, c.most = least, most
		if c.size == 0 || c.size > most {
			c.size = most
		}
	}
}

// halve makes chunks smaller than one that was too large, if it may: floor is the least
// size, 0 for no smaller chunks.
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

// succeeded tries larger chunks again after a number of smaller ones.
func (c *chunkSizer) succeeded() {
	c.arrived++
	c.cut, c.grown = 0, false
	if c.adapts && c.size > 0 && c.size != c.most && c.arrived >= max(c.patience, minPatience) {
		if c.size *= 2; c.most > 0 {
			c.size = min(c.size, c.most)
		}
		c.arrived, c.grown = 0, true
	}
}

// failed notes a chunk that failed.
func (c *chunkSizer) failed() { c.arrived, c.cut = 0, 0 }

// wasCut notes a chunk whose connection ended when so many bytes of it were sent.
func (c *chunkSizer) wasCut(size, sent int64) {
	if sent <= 0 {
		return
	}
	if c.cut = size; c.size == 0 {
		c.cut = sent
	}
}

// recovered makes chunks smaller if the server kept nothing of one that was cut.
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
