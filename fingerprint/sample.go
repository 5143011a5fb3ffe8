package fingerprint

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"

	"github.com/zeebo/xxh3"
)

// The sample is at most 1 MiB, at any size of the source. A smaller source is read
// whole at the same cost. 64 blocks of a terabyte take milliseconds on flash, and
// a fraction of a second on a cold disk that seeks to each. A block of 16 KiB costs
// hardly more than one byte, because systems read ahead at least as much.
const (
	sampleBlocks    = 64
	sampleBlockSize = 16 << 10
	sampleWhole     = sampleBlocks * sampleBlockSize
)

// Sample computes a fingerprint from name, size, modification time, version and
// a sample of the content: all of it up to 1 MiB, otherwise 64 blocks of 16 KiB, at the
// start, at the end and at pseudo-random offsets between. It reads at most 1 MiB, with
// a buffer of at most 256 KiB. A file that was renamed, copied or touched has another
// fingerprint. The zero value is ready to use.
//
// The offsets differ from source to source, so that changes at regular distances do
// not lie between the blocks of every source. A change that keeps name, size, time and
// version is detected only if it is in a block, which is 1 MiB of the whole. The package
// comment says when that matters; [Content] has no such gaps.
type Sample struct{}

// Fingerprint returns "sample2-", the size and a hash. The error matches
// [ErrSizeMismatch] if r ends before the last sampled byte. It is an error if the size
// is negative, or r is nil and the size is not 0. Other errors are those of r or ctx.
// The context is checked before each read.
func (Sample) Fingerprint(ctx context.Context, r io.ReaderAt, info Info) (string, error) {
	if err := check(ctx, info); err != nil {
		return "", err
	}
	attributes := encodeAttributes(info)
	h := xxh3.New128()
	h.Write(attributes)
	if err := hashSample(ctx, h, r, info.Size, attributes); err != nil {
		return "", err
	}
	return format("sample2", info.Size, h.Sum128()), nil
}

func hashSample(ctx context.Context, h *xxh3.Hasher128, r io.ReaderAt, size int64, attributes []byte) error {
	if memory, ok := r.(*bytes.Reader); ok && memory.Size() == size && size <= sampleWhole {
		whole := *memory // its position is the caller's
		whole.Seek(0, io.SeekStart)
		_, err := whole.WriteTo(h)
		return err
	}
	if size <= sampleWhole {
		return hashRange(ctx, h, r, 0, size, make([]byte, min(size, readSize)), nil)
	}
	buf := make([]byte, sampleBlockSize)
	for i := range int64(sampleBlocks) {
		offset := sampleOffset(size, i, attributes)
		if err := hashRange(ctx, h, r, offset, offset+sampleBlockSize, buf, nil); err != nil {
			return err
		}
	}
	return nil
}

// sampleOffset returns the offset of block i of a source larger than sampleWhole. Each
// block between the first and the last is inside its own stride, at an offset that
// depends on the attributes.
func sampleOffset(size, i int64, attributes []byte) int64 {
	switch i {
	case 0:
		return 0
	case sampleBlocks - 1:
		return size - sampleBlockSize
	}
	start, end := strideStart(size, i), strideStart(size, i+1)
	hash := xxh3.Hash(binary.BigEndian.AppendUint64(slices.Clip(attributes), uint64(i)))
	return start + int64(hash%uint64(end-start-sampleBlockSize+1))
}

// strideStart returns the offset of stride i, which contains block i:
// sampleBlockSize + (i-1)*(size-2*sampleBlockSize)/(sampleBlocks-2), computed without
// overflow.
func strideStart(size, i int64) int64 {
	const strides = sampleBlocks - 2
	span := size - 2*sampleBlockSize
	return sampleBlockSize + (i-1)*(span/strides) + (i-1)*(span%strides)/strides
}
