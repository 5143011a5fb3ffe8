package fingerprint_test

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
)

// pattern is a source of any size that uses no memory: it computes each byte from its
// offset.
type pattern struct {
	size  int64
	reads []span // the ranges of all reads
}

// span is the bytes from start to end, exclusive.
type span struct{ start, end int64 }

func patternByte(offset int64) byte {
	return byte(uint64(offset) * 0x9E3779B97F4A7C15 >> 56)
}

func (p *pattern) ReadAt(b []byte, offset int64) (int, error) {
	p.reads = append(p.reads, span{offset, offset + int64(len(b))})
	n := min(int64(len(b)), max(0, p.size-offset))
	for i := range n {
		b[i] = patternByte(offset + i)
	}
	if n < int64(len(b)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// inMemory returns the content of a pattern in memory, for repeated reads.
func inMemory(size int64) io.ReaderAt {
	content := make([]byte, size)
	for i := range content {
		content[i] = patternByte(int64(i))
	}
	return bytes.NewReader(content)
}

// readerAtFunc is a function used as an io.ReaderAt.
type readerAtFunc func(p []byte, offset int64) (int, error)

func (f readerAtFunc) ReadAt(p []byte, offset int64) (int, error) { return f(p, offset) }

// changed returns r with one bit of the byte at offset at flipped.
func changed(r io.ReaderAt, at int64) io.ReaderAt {
	return readerAtFunc(func(p []byte, offset int64) (int, error) {
		n, err := r.ReadAt(p, offset)
		if i := at - offset; i >= 0 && i < int64(n) {
			p[i] ^= 1
		}
		return n, err
	})
}

var moment = time.Date(2024, 2, 29, 12, 34, 56, 789012345, time.UTC)

func infoOf(size int64) fingerprint.Info {
	return fingerprint.Info{Name: "movie.mp4", Size: size, ModTime: moment, Version: `"v1"`}
}

func mustFingerprint(t *testing.T, f fingerprint.Fingerprinter, r io.ReaderAt, info fingerprint.Info) string {
	t.Helper()
	got, err := f.Fingerprint(context.Background(), r, info)
	if err != nil {
		t.Fatalf("%T of %d bytes: %v", f, info.Size, err)
	}
	return got
}

// sampledRanges returns the ranges that Sample reads of a source of the size, in order.
func sampledRanges(t *testing.T, size int64) []span {
	t.Helper()
	var reads []span
	mustFingerprint(t, fingerprint.Sample{}, readerAtFunc(func(p []byte, offset int64) (int, error) {
		reads = append(reads, span{offset, offset + int64(len(p))})
		return len(p), nil
	}), infoOf(size))
	slices.SortFunc(reads, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	return reads
}
