package fingerprint

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"
)

// readSize is how much is read at once: enough to make the system calls
// cheap, and little enough to be hashed while it is still in the cache.
const readSize = 256 << 10

// maxEmptyReads is how often in a row a reader may deliver nothing and report
// no error, before it is given up.
const maxEmptyReads = 100

// checkReadable refuses what cannot be read, before anything is.
func checkReadable(r io.ReaderAt, info Info) error {
	if info.Size < 0 {
		return errNegative(info.Size)
	}
	if r == nil && info.Size > 0 {
		return wrap(fmt.Errorf("%w: no reader for %d bytes of content", ErrInvalidInput, info.Size))
	}
	return nil
}

// hashRange adds the bytes of r from offset to end to h, as many at once as fit
// buf. After each read it calls progress, if there is one, with the offset
// reached.
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

// readFull fills p from offset. It asks again for what a reader left out
// without an error, which [io.ReaderAt] forbids but some readers do.
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
			return wrap(fmt.Errorf("%w: it ended at byte %d", ErrSizeMismatch, offset))
		default:
			return wrap(fmt.Errorf("reading at byte %d: %w", offset, err))
		}
	}
	return nil
}
