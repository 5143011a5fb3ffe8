package hashahead

import (
	"fmt"
	"io"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

// bufferSize is the size of the buffer of a Pipeline, in bytes.
const bufferSize = 256 << 10

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
	defer async.CloseWith(j.ctx, r, &j.panics)()
	if want := int(min(j.size, bufferSize)); len(p.buf) < want {
		p.buf = make([]byte, want)
	}
	for left := j.size; left > 0; {
		if err := j.ctx.Err(); err != nil {
			return err
		}
		n, err := readahead.Fill(r, p.buf[:min(left, int64(len(p.buf)))])
		if _, err := p.hash.Write(p.buf[:n]); err != nil { // FIPS mode may forbid the algorithm
			return err
		}
		left -= int64(n)
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
