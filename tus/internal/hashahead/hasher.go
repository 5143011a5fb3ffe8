package hashahead

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
	// hashBuffer is the size of the buffer of a hasher, in bytes.
	hashBuffer = 256 << 10
	// maxEmptyReads is the number of consecutive reads of 0 bytes without an error
	// after which a read fails with io.ErrNoProgress.
	maxEmptyReads = 100
)

// hasher reads and hashes one range at a time. A Pipeline has two.
type hasher struct {
	working bool          // a goroutine runs work with it; guarded by Pipeline.mu
	sem     chan struct{} // semaphore for hash and buf
	hash    hash.Hash
	buf     []byte
}

// start starts a goroutine that hashes look-aheads. The caller must hold p.mu.
func (p *Pipeline) start(h *hasher) {
	h.working = true
	p.jobs.Go(func() { p.work(h) })
}

// work hashes look-aheads until the queue is empty. While a Sum waits, both hashers may
// work. When no Sum waits, the hasher that finishes its range first stops. A hasher never
// pauses with an open reader, because the source may limit the number of readers.
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
		if len(p.queue) > 0 && (p.waiters > 0 || !p.other(h).working) {
			j = p.queue[0]
			p.queue = slices.Delete(p.queue, 0, 1)
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

// do computes a job when the hasher is free. A read that hangs keeps it busy.
func (p *Pipeline) do(h *hasher, j *job) {
	select {
	case h.sem <- struct{}{}:
		defer func() { <-h.sem }()
	case <-j.ctx.Done():
	}
	defer func() {
		j.panicked = recover()
		p.mu.Lock()
		p.removeWaiter(j) // before work reads p.waiters
		p.mu.Unlock()
		close(j.done)
	}()
	j.err = errors.New("source called runtime.Goexit")
	j.sum, j.err = p.compute(h, j)
}

// recordSpeed records how long reading and hashing a buffer took. If hashing takes longer
// and a Sum waits, it starts the other hasher: nothing is being sent, so a processor is
// free. Without a waiting Sum, the other hasher would slow down sending. If reading
// takes longer, a second reader would not help.
func (p *Pipeline) recordSpeed(h *hasher, reading, hashing time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.speed.add(reading, hashing)
	if p.closed || p.waiters == 0 || len(p.queue) == 0 || p.speed.hashing <= p.speed.reading || runtime.GOMAXPROCS(0) == 1 {
		return
	}
	if other := p.other(h); !other.working {
		p.start(other)
	}
}

// speed has the durations of the last buffers, weighted exponentially.
type speed struct{ reading, hashing time.Duration }

func (s *speed) add(reading, hashing time.Duration) {
	s.reading += reading - s.reading/32
	s.hashing += hashing - s.hashing/32
}

// compute reads a range and returns its checksum.
func (p *Pipeline) compute(h *hasher, j *job) ([]byte, error) {
	if err := j.ctx.Err(); err != nil {
		return nil, err
	}
	if h.hash == nil {
		h.hash = p.algorithm.New()
	}
	h.hash.Reset()
	if j.size > 0 {
		if err := p.read(h, j); err != nil {
			if j.ctx.Err() != nil { // err may be that of the closed reader
				err = j.ctx.Err()
			}
			return nil, fmt.Errorf("hashing %d bytes at offset %d: %w", j.size, j.offset, err)
		}
	}
	return h.hash.Sum(nil), nil
}

// read writes the range to the hash.
func (p *Pipeline) read(h *hasher, j *job) error {
	begin := time.Now()
	r, err := p.open(j.ctx, j.offset)
	if err != nil {
		return err
	}
	p.recordSpeed(h, time.Since(begin), 0) // open may read up to the offset
	closed := make(chan any, 1)
	stop := context.AfterFunc(j.ctx, func() {
		defer func() { closed <- recover() }()
		r.Close() // may be required to end a read
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
			return fmt.Errorf("reader returned invalid count %d for %d bytes", n, len(buf))
		}
		read := time.Now()
		if _, err := h.hash.Write(buf[:n]); err != nil { // FIPS mode may forbid the algorithm
			return err
		}
		p.recordSpeed(h, read.Sub(begin), time.Since(read))
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
