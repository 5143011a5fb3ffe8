package checksum

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"slices"
	"time"
)

const (
	// hashBuffer is how much of a range is in memory at once, in bytes.
	hashBuffer = 256 << 10
	// maxEmptyReads is how often in a row a reader may deliver nothing and
	// report no error, before it is given up.
	maxEmptyReads = 100
)

// hasher reads and adds up one range at a time. A Pipeline has two.
type hasher struct {
	working bool          // a goroutine does look-aheads with it; guarded by Pipeline.mu
	turn    chan struct{} // holds an item while a job uses what follows
	hash    hash.Hash
	buf     []byte
}

// start begins to do look-aheads with a hasher that is free. It needs p.mu.
func (p *Pipeline) start(h *hasher) {
	h.working = true
	p.jobs.Go(func() { p.work(h) })
}

// work does look-aheads: alone, or as one of two while a Sum waits. Where two are at
// work and nobody waits any more, the one that is done first stops; none pauses with
// an open reader, which may be what somebody else needs.
func (p *Pipeline) work(h *hasher) {
	ended := false
	defer func() {
		if !ended { // by runtime.Goexit in the source
			p.mu.Lock()
			defer p.mu.Unlock()
			p.start(h)
		}
	}()
	for {
		var j *job
		p.mu.Lock()
		if len(p.waiting) > 0 && (p.asking > 0 || !p.other(h).working) {
			j = p.waiting[0]
			p.waiting = slices.Delete(p.waiting, 0, 1)
		}
		h.working = j != nil
		p.mu.Unlock()
		if j == nil {
			ended = true
			return
		}
		p.do(h, j)
	}
}

func (p *Pipeline) other(h *hasher) *hasher {
	if h == &p.first {
		return &p.second
	}
	return &p.first
}

// do waits for its turn, as a read that hangs holds it, and does a job.
func (p *Pipeline) do(h *hasher, j *job) {
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-j.ctx.Done():
	}
	defer func() {
		j.panicked = recover()
		p.mu.Lock()
		p.answered(j) // before this hasher looks whether somebody waits
		p.mu.Unlock()
		close(j.done)
	}()
	j.err = errors.New("checksum: source ended the goroutine that reads it")
	j.sum, j.err = p.compute(h, j)
}

// measured notes how long it took a hasher to read and to hash a buffer. If hashing takes
// longer, and a Sum waits for it, another processor helps: as sending waits, too, it
// is free. At other times it would be in the way of sending, and where reading is
// slower, one reader more makes it no faster.
func (p *Pipeline) measured(h *hasher, reading, hashing time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.speed.add(reading, hashing)
	if p.closed || p.asking == 0 || len(p.waiting) == 0 || p.speed.hashing <= p.speed.reading || runtime.GOMAXPROCS(0) == 1 {
		return
	}
	if other := p.other(h); !other.working {
		p.start(other)
	}
}

// speed is what the last buffers took; the further back, the less they count.
type speed struct{ reading, hashing time.Duration }

func (s *speed) add(reading, hashing time.Duration) {
	s.reading += reading - s.reading/32
	s.hashing += hashing - s.hashing/32
}

// compute reads a range and returns its checksum.
func (p *Pipeline) compute(h *hasher, j *job) ([]byte, error) {
	if err := j.ctx.Err(); err != nil {
		return nil, wrap(err)
	}
	if h.hash == nil {
		h.hash = p.algorithm.New()
	}
	h.hash.Reset()
	if j.size > 0 {
		if err := p.read(h, j); err != nil {
			if j.ctx.Err() != nil { // the reader was closed for it
				err = j.ctx.Err()
			}
			return nil, wrap(fmt.Errorf("%d bytes from %d: %w", j.size, j.offset, err))
		}
	}
	return h.hash.Sum(nil), nil
}

// read feeds the range to the hash.
func (p *Pipeline) read(h *hasher, j *job) error {
	begin := time.Now()
	r, err := p.open(j.ctx, j.offset)
	if err != nil {
		return err
	}
	p.measured(h, time.Since(begin), 0) // a way to the offset is reading
	closed := make(chan any, 1)
	stop := context.AfterFunc(j.ctx, func() {
		defer func() { closed <- recover() }()
		r.Close() // may be all that ends a read
	})
	defer func() {
		if stop() {
			r.Close()
		} else if panicked := <-closed; panicked != nil {
			panic(panicked)
		}
	}()
	if want := int(min(j.size, hashBuffer)); len(h.buf) < want {
		h.buf = make([]byte, want)
	}
	left := j.size
	for empty := 0; left > 0; {
		if err := j.ctx.Err(); err != nil {
			return err
		}
		begin = time.Now()
		buf := h.buf[:min(left, int64(len(h.buf)))]
		n, err := r.Read(buf)
		if n < 0 || n > len(buf) {
			return fmt.Errorf("reader returned %d bytes of %d", n, len(buf))
		}
		read := time.Now()
		if _, err := h.hash.Write(buf[:n]); err != nil { // only where FIPS forbids the algorithm
			return err
		}
		p.measured(h, read.Sub(begin), time.Since(read))
		left -= int64(n)
		if n > 0 {
			empty = 0
		} else if empty++; err == nil && empty == maxEmptyReads {
			err = io.ErrNoProgress
		}
		switch {
		case left == 0, err == nil:
		case err == io.EOF:
			return fmt.Errorf("%w, %d bytes before the end of the range", io.ErrUnexpectedEOF, left)
		default:
			return err
		}
	}
	return nil
}
