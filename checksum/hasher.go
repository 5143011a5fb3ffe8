package checksum

import (
	"context"
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

// work does the look-aheads in turn. One goroutine does them all: hashing does not
// stop for whoever waits for a result.
func (p *Pipeline) work() {
	for {
		p.mu.Lock()
		j := p.next()
		if j == nil {
			p.working = false
			p.resume.Broadcast()
		}
		p.mu.Unlock()
		if j == nil {
			return
		}
		p.do(j)
	}
}

// next takes the first look-ahead that is not begun, nil if there is none. It needs
// p.mu.
func (p *Pipeline) next() *job {
	if len(p.waiting) == 0 {
		return nil
	}
	j := p.waiting[0]
	p.waiting = slices.Delete(p.waiting, 0, 1)
	return j
}

// do waits for its turn, as a read that hangs holds it, and does a job.
func (p *Pipeline) do(j *job) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-j.ctx.Done():
	}
	p.first.do(p, j)
}

// measured notes how long it took to read and to hash a buffer. If hashing takes
// longer, and a Sum waits for it, another processor helps: as sending waits, too, it
// is free. At other times it would be in the way of sending, and where reading is
// slower, one reader more makes it no faster.
func (p *Pipeline) measured(reading, hashing time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.speed.add(reading, hashing)
	wanted := p.asking > 0 && len(p.waiting) > 0 && p.speed.hashing > p.speed.reading
	if wanted && !p.assisted && !p.closed && runtime.GOMAXPROCS(0) > 1 {
		p.assisted = true
		p.jobs.Go(p.workWhileAsked)
	}
}

// workWhileAsked does look-aheads, too, while a Sum waits.
func (p *Pipeline) workWhileAsked() {
	for {
		var j *job
		p.mu.Lock()
		if p.asking > 0 {
			j = p.next()
		}
		p.assisted = j != nil
		p.mu.Unlock()
		if j == nil {
			return
		}
		p.second.do(p, j)
	}
}

// yield makes the second hasher wait until it is its time again: a Sum waits, or nobody
// else works.
func (p *Pipeline) yield() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.asking == 0 && p.working {
		p.resume.Wait()
	}
}

// speed is what the last buffers took; the further back, the less they count.
type speed struct{ reading, hashing time.Duration }

func (s *speed) add(reading, hashing time.Duration) {
	s.reading += reading - s.reading/32
	s.hashing += hashing - s.hashing/32
}

// hasher adds up one range at a time.
type hasher struct {
	hash hash.Hash
	buf  []byte
	// pause, if not nil, is called between buffers.
	pause func()
}

func (h *hasher) do(p *Pipeline, j *job) {
	defer func() {
		j.panicked = recover()
		close(j.done)
	}()
	j.sum, j.err = h.compute(p, j)
}

// compute reads a range and returns its checksum.
func (h *hasher) compute(p *Pipeline, j *job) ([]byte, error) {
	if err := j.ctx.Err(); err != nil {
		return nil, wrap(err)
	}
	if h.hash == nil {
		h.hash = p.algorithm.New()
	}
	h.hash.Reset()
	if j.size > 0 {
		if err := h.read(p, j); err != nil {
			if j.ctx.Err() != nil { // the reader was closed for it
				err = j.ctx.Err()
			}
			return nil, wrap(fmt.Errorf("%d bytes from %d: %w", j.size, j.offset, err))
		}
	}
	return h.hash.Sum(nil), nil
}

// read feeds the range to the hash.
func (h *hasher) read(p *Pipeline, j *job) error {
	r, err := p.open(j.ctx, j.offset)
	if err != nil {
		return err
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(j.ctx, func() {
		defer close(closed)
		r.Close() // may be all that ends a read
	})
	defer func() {
		if stop() {
			r.Close()
		} else {
			<-closed
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
		begin := time.Now()
		buf := h.buf[:min(left, int64(len(h.buf)))]
		n, err := r.Read(buf)
		if n < 0 || n > len(buf) {
			return fmt.Errorf("reader returned %d bytes of %d", n, len(buf))
		}
		read := time.Now()
		if _, err := h.hash.Write(buf[:n]); err != nil { // only where FIPS forbids the algorithm
			return err
		}
		p.measured(read.Sub(begin), time.Since(read))
		left -= int64(n)
		if n > 0 {
			empty = 0
		} else if empty++; err == nil && empty == maxEmptyReads {
			err = io.ErrNoProgress
		}
		switch {
		case left == 0:
			return nil
		case err == nil && h.pause != nil:
			h.pause()
		case err == nil:
		case err == io.EOF:
			return fmt.Errorf("%w, %d bytes before the end of the range", io.ErrUnexpectedEOF, left)
		default:
			return err
		}
	}
	return nil
}
