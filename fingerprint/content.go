package fingerprint

import (
	"context"
	"io"

	"github.com/zeebo/xxh3"
)

// Content computes a fingerprint from the size and the whole content of a source.
// Name, modification time and version are ignored, so a copy has the same
// fingerprint. Content reads the source once, in order, with a buffer of 256 KiB, at
// about the speed of reading. The zero value is ready to use.
type Content struct {
	// OnProgress, if non-nil, is called after each read with the number of bytes read
	// so far and the size of the source, both in bytes. The last call for a non-empty
	// source has done equal to size. The goroutine that called Fingerprint calls it,
	// and waits for it, so it must return quickly. Concurrent calls of Fingerprint
	// call it concurrently.
	OnProgress func(done, size int64)
}

// Fingerprint returns "content1-", the size and a hash. The error matches
// [ErrSizeMismatch] if r ends before info.Size. It is an error if the size is negative,
// or r is nil and the size is not 0. Other errors are those of r or ctx. The context is
// checked before each read.
func (c Content) Fingerprint(ctx context.Context, r io.ReaderAt, info Info) (string, error) {
	if err := check(ctx, info); err != nil {
		return "", err
	}
	h := xxh3.New128()
	if err := hashRange(ctx, h, r, 0, info.Size, make([]byte, min(info.Size, readSize)), c.OnProgress); err != nil {
		return "", err
	}
	return format("content1", info.Size, h.Sum128()), nil
}
