package fingerprint

import (
	"context"
	"encoding/binary"
	"io"
	"slices"

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

// Sample identifies a source by name, size, modification time, version and a
// sample of its content: all of it up to 1 MiB, otherwise 64 blocks of 16 KiB, at
// the start, at the end and at pseudo-random places between. It reads at most 1 MiB,
// with at most 256 KiB of memory. A file that was renamed or copied, or whose time
// was touched, is another source. The zero value is ready to use.
//
// The places differ from source to source, so that changes at regular distances do
// not fall between the blocks of every source. A single change that keeps name, size,
// time and version is found only in a block: in 1 MiB of the whole. The package
// comment says when that matters; [Content] has no such gaps.
type Sample struct{}

// Fingerprint returns "sample2-", the size and a hash. It matches
// [ErrSizeMismatch] if r ends before the last sampled byte, [ErrInvalidInput]
// if the size is negative or r is nil and not empty, and otherwise the error of
// r or of the context. The context is checked before each read.
func (Sample) Fingerprint(ctx context.Context, r io.ReaderAt, info Info) (string, error) {
	if err := checkReadable(r, info); err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil { // an empty source is not read
		return "", wrap(err)
	}
	facts := appendString(appendFacts(nil, info), info.Name)
	h := xxh3.New128()
	h.Write(facts)
	if err := hashSample(ctx, h, r, info.Size, facts); err != nil {
		return "", err
	}
	return format("sample2", info.Size, h.Sum128()), nil
}

func hashSample(ctx context.Context, h *xxh3.Hasher128, r io.ReaderAt, size int64, facts []byte) error {
	if size <= sampleWhole {
		return hashRange(ctx, h, r, 0, size, make([]byte, min(size, readSize)), nil)
	}
	buf := make([]byte, sampleBlockSize)
	for i := range int64(sampleBlocks) {
		offset := sampleOffset(size, i, facts)
		if err := hashRange(ctx, h, r, offset, offset+sampleBlockSize, buf, nil); err != nil {
			return err
		}
	}
	return nil
}

// sampleOffset is where block i of a source above sampleWhole starts. Between the
// first block and the last, each lies somewhere in a stride of its own; the facts
// decide where.
func sampleOffset(size, i int64, facts []byte) int64 {
	switch i {
	case 0:
		return 0
	case sampleBlocks - 1:
		return size - sampleBlockSize
	}
	start, end := strideStart(size, i), strideStart(size, i+1)
	hash := xxh3.Hash(binary.BigEndian.AppendUint64(slices.Clip(facts), uint64(i)))
	return start + int64(hash%uint64(end-start-sampleBlockSize+1))
}

// strideStart is where stride i begins, which block i lies in:
// sampleBlockSize + (i-1)*(size-2*sampleBlockSize)/(sampleBlocks-2), in an order that
// cannot overflow.
func strideStart(size, i int64) int64 {
	const strides = sampleBlocks - 2
	span := size - 2*sampleBlockSize
	return sampleBlockSize + (i-1)*(span/strides) + (i-1)*(span%strides)/strides
}
