package hashahead

import (
	"fmt"
	"hash"
	"io"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

// bufferSize is the size of the buffer of a hasher, in bytes.
const bufferSize = 256 << 10

// hasher is a hash and a buffer. One job after another uses it.
type hasher struct {
	algorithm checksum.Algorithm
	hash      hash.Hash
	buf       []byte
}

// compute reads the range of a job and returns its checksum.
func (h *hasher) compute(j *job, open openFunc) ([]byte, error) {
	if h.hash == nil {
		h.hash = h.algorithm.New()
	}
	h.hash.Reset()
	if j.size > 0 {
		if err := h.read(j, open); err != nil {
			if j.ctx.Err() != nil { // err may be that of the closed reader
				err = j.ctx.Err()
			}
			return nil, fmt.Errorf("hashing %d bytes at offset %d: %w", j.size, j.offset, err)
		}
	}
	return h.hash.Sum(nil), nil
}

// read writes the range to the hash.
func (h *hasher) read(j *job, open openFunc) error {
	r, err := open(j.ctx, j.offset)
	if err != nil {
		return err
	}
	defer async.CloseWith(j.ctx, r, &j.panics)()
	if want := int(min(j.size, bufferSize)); len(h.buf) < want {
		h.buf = make([]byte, want)
	}
	for left := j.size; left > 0; {
		n, err := readahead.Fill(j.ctx, r, h.buf[:min(left, int64(len(h.buf)))])
		if _, err := h.hash.Write(h.buf[:n]); err != nil { // FIPS mode may forbid the algorithm
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
