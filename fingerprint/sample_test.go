package fingerprint_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed-175555ba/tus-go/fingerprint"
)

const (
	blockSize = 16 << 10
	threshold = 1 << 20
)

func TestSample_ReadsSmallSourceWhole(t *testing.T) {
	for _, size := range []int64{1, 2, blockSize - 1, blockSize, blockSize + 1, 63 * blockSize, threshold - 1, threshold} {
		next := int64(0)
		for _, s := range sampledRanges(t, size) {
			if s.start != next {
				t.Fatalf("%d bytes: read %d to %d, want a read from %d", size, s.start, s.end, next)
			}
			next = s.end
		}
		if next != size {
			t.Errorf("%d bytes: read only %d", size, next)
		}
	}
}

func TestSample_BlocksAreOrderedAndInBounds(t *testing.T) {
	sizes := []int64{
		threshold + 1, threshold + 62, threshold + 63, threshold + 64, threshold + blockSize,
		2*threshold - 1, 2 * threshold, 2*threshold + 1, 1 << 32, 1 << 62, 1<<63 - 1,
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 { // every order of magnitude
		sizes = append(sizes, threshold+1+random.Int64N(1<<(21+random.IntN(42))))
	}
	for _, size := range sizes {
		blocks := sampledRanges(t, size)
		if len(blocks) != 64 || blocks[0].start != 0 || blocks[63].end != size {
			t.Fatalf("%d bytes: %d blocks from %d to %d", size, len(blocks), blocks[0].start, blocks[len(blocks)-1].end)
		}
		widest := 2 * ((size-threshold)/62 + 1) // two strides, each with a block
		for i, b := range blocks {
			if b.end-b.start != blockSize {
				t.Fatalf("%d bytes: block %d has %d bytes", size, i, b.end-b.start)
			}
			if i > 0 {
				if gap := b.start - blocks[i-1].end; gap < 0 || gap > widest {
					t.Fatalf("%d bytes: %d bytes between block %d and the next, want 0 to %d", size, gap, i-1, widest)
				}
			}
		}
	}
}

func TestSample_DetectsChangeInBlock(t *testing.T) {
	for _, size := range []int64{1, blockSize + 1, threshold, threshold + 1} {
		source := inMemory(size)
		before := mustFingerprint(t, fingerprint.Sample{}, source, infoOf(size))
		for _, s := range sampledRanges(t, size) {
			for _, at := range []int64{s.start, (s.start + s.end) / 2, s.end - 1} {
				if mustFingerprint(t, fingerprint.Sample{}, changed(source, at), infoOf(size)) == before {
					t.Fatalf("%d bytes: the change of byte %d is not detected", size, at)
				}
			}
		}
	}
}

func TestContent_DetectsChangeBetweenSampleBlocks(t *testing.T) {
	const size = 10 * threshold
	blocks := sampledRanges(t, size)
	source, between := inMemory(size), blocks[0].end
	if blocks[1].start == between {
		between = blocks[1].end
	}
	other := changed(source, between)
	for _, f := range []fingerprint.Fingerprinter{fingerprint.Sample{}, fingerprint.Content{}} {
		differs := mustFingerprint(t, f, source, infoOf(size)) != mustFingerprint(t, f, other, infoOf(size))
		if _, content := f.(fingerprint.Content); differs != content {
			t.Errorf("%T: fingerprint changed: %v", f, differs)
		}
	}
}

// Every change is at the same offset of its stride, as in the records of a database or
// the sectors of a disk image.
func TestSample_PeriodicChangeIsDetected(t *testing.T) {
	const size = 64 * threshold
	const stride = (size - blockSize) / 63 // of evenly spaced blocks
	source := inMemory(size)
	before := mustFingerprint(t, fingerprint.Sample{}, source, infoOf(size))
	for start := int64(blockSize); start < stride*3/4; start += stride / 8 {
		other := readerAtFunc(func(p []byte, offset int64) (int, error) {
			n, err := source.ReadAt(p, offset)
			for i := range p[:n] {
				if within := (offset + int64(i)) % stride; within >= start && within < start+stride/4 {
					p[i] ^= 1
				}
			}
			return n, err
		})
		if mustFingerprint(t, fingerprint.Sample{}, other, infoOf(size)) == before {
			t.Errorf("a quarter of each stride changed, from its byte %d: the fingerprint is the same", start)
		}
	}
}

// Different sources are sampled at different offsets, one source always at the same.
func TestSample_OffsetsDependOnAttributes(t *testing.T) {
	const size = 64 * threshold
	offsets := func(info fingerprint.Info) (starts []int64) {
		mustFingerprint(t, fingerprint.Sample{}, readerAtFunc(func(p []byte, offset int64) (int, error) {
			starts = append(starts, offset)
			return len(p), nil
		}), info)
		return starts
	}
	info := infoOf(size)
	if !slices.Equal(offsets(info), offsets(info)) {
		t.Error("offsets of one source differ")
	}
	renamed, touched := info, info
	renamed.Name += "x"
	touched.ModTime = touched.ModTime.Add(1)
	for name, other := range map[string]fingerprint.Info{"name": renamed, "time": touched} {
		shared := 0
		for i, start := range offsets(other) {
			if start == offsets(info)[i] {
				shared++
			}
		}
		if shared > 4 { // the first and the last are always shared
			t.Errorf("another %s shares %d of 64 offsets", name, shared)
		}
	}
}

func TestSample_DetectsRenameAndChangeOfFile(t *testing.T) {
	const size = 4 * threshold
	path := filepath.Join(t.TempDir(), "disk.img")
	content := make([]byte, size)
	for i := range content {
		content[i] = patternByte(int64(i))
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	before := fileFingerprint(t, path)

	renamed := filepath.Join(filepath.Dir(path), "renamed.img")
	if err := os.Rename(path, renamed); err != nil {
		t.Fatal(err)
	}
	if fileFingerprint(t, renamed) == before {
		t.Error("renamed: the fingerprint is the same")
	}
	if err := os.Rename(renamed, path); err != nil {
		t.Fatal(err)
	}
	if after := fileFingerprint(t, path); after != before {
		t.Errorf("renamed back: %s became %s", before, after)
	}

	stat, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	content[size-1] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, stat.ModTime(), stat.ModTime()); err != nil {
		t.Fatal(err)
	}
	if fileFingerprint(t, path) == before {
		t.Error("the last byte was changed, size and time kept: the fingerprint is the same")
	}
}

func fileFingerprint(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return mustFingerprint(t, fingerprint.Sample{}, f, fingerprint.Info{
		Name: path, Size: stat.Size(), ModTime: stat.ModTime(),
	})
}
