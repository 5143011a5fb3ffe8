package fingerprint

import (
	"context"
	"io"

	"github.com/zeebo/xxh3"
)

// The sample is 1 MiB however large the source is: up to there the whole
// content is no more work, and beyond it 64 places are few enough for a
// terabyte on flash to take milliseconds, and a fraction of a second on a cold
// disk that has to seek to each. 16 KiB a place cost next to nothing over a
// single byte, as systems read ahead at least as much.
const (
	sampleBlocks    = 64
	sampleBlockSize = 16 << 10
	sampleWhole     = sampleBlocks * sampleBlockSize
)

// Sample identifies a source by size, modification time, version and a sample
// of its content: all of it up to 1 MiB, otherwise 64 blocks of 16 KiB, at the
// start, at the end and evenly spaced between. It reads at most 1 MiB, with at
// most 256 KiB of memory. The name does not count, so a renamed file is still
// the same; a file whose time was touched is another one. The zero value is
// ready to use.
//
// Sample does not see a change that keeps the size, the modification time and
// the version and lies between the blocks, that is within the gaps of
// (size - 1 MiB) / 63 bytes. Programs that write a file change its
// modification time; those that set it back afterwards, writes within the
// resolution of the file system's clock (two seconds on FAT), and sources that
// know neither time nor version are the cases that call for [Content].
type Sample struct{}

// Fingerprint returns "sample1-", the size and a hash. It matches
// [ErrSizeMismatch] if r ends before the last sampled byte, [ErrInvalidInput]
// if the size is negative or r is nil and not empty, and otherwise the error of
// r or of the context. The context is looked at before each read.
func (Sample) Fingerprint(ctx context.Context, r io.ReaderAt, info Info) (string, error) {
	if err := checkReadable(r, info); err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil { // an empty source is not read
		return "", wrap(err)
	}
	h := xxh3.New128()
	h.Write(appendFacts(nil, info))
	if err := hashSample(ctx, h, r, info.Size); err != nil {
		return "", err
	}
	return format("sample1", info.Size, h.Sum128()), nil
}

func hashSample(ctx context.Context, h *xxh3.Hasher128, r io.ReaderAt, size int64) error {
	if size <= sampleWhole {
		return hashRange(ctx, h, r, 0, size, make([]byte, min(size, readSize)), nil)
	}
	buf := make([]byte, sampleBlockSize)
	for i := range int64(sampleBlocks) {
		offset := sampleOffset(size, i)
		if err := hashRange(ctx, h, r, offset, offset+sampleBlockSize, buf, nil); err != nil {
			return err
		}
	}
	return nil
}

// sampleOffset is where block i of a source above sampleWhole starts:
// i*(size-sampleBlockSize)/(sampleBlocks-1), in an order that cannot overflow.
func sampleOffset(size, i int64) int64 {
	span := size - sampleBlockSize
	const gaps = sampleBlocks - 1
	return i*(span/gaps) + i*(span%gaps)/gaps
}
