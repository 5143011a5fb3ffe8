package fingerprint

import (
	"context"
	"io"

	"github.com/zeebo/xxh3"
)

// Content identifies a source by its size and every byte of its content.
// Neither name, time nor version count: a copy elsewhere is the same source.
// It reads everything once, in order, with 256 KiB of memory, at about the
// speed of reading. The zero value is ready to use.
type Content struct {
	// OnProgress, if set, is called after each read with the bytes done and the
	// size, both in bytes; at the end of a non-empty source both are equal. It is
	// called by the goroutine that called Fingerprint and must return quickly.
	// Concurrent calls of Fingerprint call it concurrently.
	OnProgress func(done, total int64)
}

// Fingerprint returns "content1-", the size and a hash. It matches
// [ErrSizeMismatch] if r ends early, [ErrInvalidInput] if the size is negative
// or r is nil and not empty, and otherwise the error of r or of the context.
// The context is looked at before each read.
func (c Content) Fingerprint(ctx context.Context, r io.ReaderAt, info Info) (string, error) {
	if err := checkReadable(r, info); err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil { // an empty source is not read
		return "", wrap(err)
	}
	var progress func(int64)
	if c.OnProgress != nil {
		progress = func(done int64) { c.OnProgress(done, info.Size) }
	}
	h := xxh3.New128()
	if err := hashRange(ctx, h, r, 0, info.Size, make([]byte, min(info.Size, readSize)), progress); err != nil {
		return "", err
	}
	return format("content1", info.Size, h.Sum128()), nil
}
