package fingerprint

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"
)

// readSize is the size of a read: large enough that system calls are cheap, small
// enough that the data is hashed while it is in the CPU cache.
const readSize = 256 << 10

// maxEmptyReads is the number of consecutive reads of 0 bytes without an error after
// which hashRange returns io.ErrNoProgress.
const maxEmptyReads = 100

// hashRange writes the bytes of r from offset to end to h, through buf. After each read
// it calls progress, if non-nil, with the new offset and end. It repeats short reads
// without an error, which [io.ReaderAt] forbids but some readers return.
func hashRange(ctx context.Context, h *xxh3.Hasher128, r io.ReaderAt, offset, end int64, buf []byte, progress func(offset, end int64)) error {
	if r == nil && offset < end {
		return wrap(fmt.Errorf("nil reader for %d bytes", end-offset))
	}
	for empty := 0; offset < end; {
		if err := ctx.Err(); err != nil {
			return wrap(err)
		}
		p := buf[:min(int64(len(buf)), end-offset)]
		n, err := r.ReadAt(p, offset)
		h.Write(p[:n])
		offset += int64(n)
		if n > 0 {
			empty = 0
		} else if empty++; err == nil && empty == maxEmptyReads {
			err = io.ErrNoProgress
		}
		switch {
		case n == len(p), err == nil: // a full read may come with io.EOF
		case errors.Is(err, io.EOF):
			return wrap(fmt.Errorf("%w: ended at byte %d", ErrSizeMismatch, offset))
		default:
			return wrap(fmt.Errorf("reading at byte %d: %w", offset, err))
		}
		if progress != nil && n > 0 {
			progress(offset, end)
		}
	}
	return nil
}
