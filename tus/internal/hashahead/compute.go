package hashahead

import (
	"context"
	"fmt"
	"io"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

const (
	// bufferSize is the size of the buffer of a Pipeline, in bytes.
	bufferSize = 256 << 10
	// maxEmptyReads is the number of consecutive reads of 0 bytes without an error
	// after which a read fails with io.ErrNoProgress.
	maxEmptyReads = 100
)

// compute reads the range of a job and returns its checksum.
func (p *Pipeline) compute(j *job) ([]byte, error) {
	if p.hash == nil {
		p.hash = p.algorithm.New()
	}
	p.hash.Reset()
	if j.size > 0 {
		if err := p.read(j); err != nil {
			if j.ctx.Err() != nil { // err may be that of the closed reader
				err = j.ctx.Err()
			}
			return nil, fmt.Errorf("hashing %d bytes at offset %d: %w", j.size, j.offset, err)
		}
	}
	return p.hash.Sum(nil), nil
}

// read writes the range to the hash.
func (p *Pipeline) read(j *job) error {
	r, err := p.open(j.ctx, j.offset)
	if err != nil {
		return err
	}
	defer p.closeWith(j, r)()
	if want := int(min(j.size, bufferSize)); len(p.buf) < want {
		p.buf = make([]byte, want)
	}
	left := j.size
	for empty := 0; left > 0; {
		if err := j.ctx.Err(); err != nil {
			return err
		}
		buf := p.buf[:min(left, int64(len(p.buf)))]
		n, err := r.Read(buf)
		if n < 0 || n > len(buf) {
			return fmt.Errorf("reader returned invalid count %d for %d bytes", n, len(buf))
		}
		if _, err := p.hash.Write(buf[:n]); err != nil { // FIPS mode may forbid the algorithm
			return err
		}
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

// closeWith closes r when the job is canceled, which may be required to end a read, or
// when done is called. done panics as Close does.
func (p *Pipeline) closeWith(j *job, r io.Closer) (done func()) {
	var panics async.Panics
	closed := make(chan struct{})
	stop := context.AfterFunc(j.ctx, func() {
		defer close(closed)
		panics.Run(func() { r.Close() })
	})
	return func() {
		if stop() {
			r.Close()
			return
		}
		<-closed
		panics.Repanic()
	}
}
