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
// which readFull returns io.ErrNoProgress.
const maxEmptyReads = 100

// checkReadable returns an error if the size is negative, or r is nil and not empty.
func checkReadable(r io.ReaderAt, info Info) error {
	if info.Size < 0 {
		return errNegative(info.Size)
	}
	if r == nil && info.Size > 0 {
		return wrap(fmt.Errorf("nil reader for %d bytes", info.Size))
	}
	return nil
}

// hashRange writes the bytes of r from offset to end to h, through buf. After each read
// it calls progress, if non-nil, with the new offset.
func hashRange(ctx context.Context, h *xxh3.Hasher128, r io.ReaderAt, offset, end int64, buf []byte, progress func(int64)) error {
	for offset < end {
		p := buf[:min(int64(len(buf)), end-offset)]
		if err := readFull(ctx, r, p, offset); err != nil {
			return err
		}
		h.Write(p)
		offset += int64(len(p))
		if progress != nil {
			progress(offset)
		}
	}
	return nil
}

// readFull fills p from offset. It repeats short reads without an error, which
// [io.ReaderAt] forbids but some readers return.
func readFull(ctx context.Context, r io.ReaderAt, p []byte, offset int64) error {
	for empty := 0; len(p) > 0; {
		if err := ctx.Err(); err != nil {
			return wrap(err)
		}
		n, err := r.ReadAt(p, offset)
		p, offset = p[n:], offset+int64(n)
		if n > 0 {
			empty = 0
		} else if empty++; err == nil && empty == maxEmptyReads {
			err = io.ErrNoProgress
		}
		switch {
		case len(p) == 0, err == nil: // a full read may come with io.EOF
		case errors.Is(err, io.EOF):
			return wrap(fmt.Errorf("%w: ended at byte %d", ErrSizeMismatch, offset))
		default:
			return wrap(fmt.Errorf("reading at byte %d: %w", offset, err))
		}
	}
	return nil
}
