package fingerprint_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-175555ba/tus-go/fingerprint"
)

const (
	blockSize = 16 << 10
	threshold = 1 << 20
)

func TestSampleReadsSmallSourcesWhole(t *testing.T) {
	for _, size := range []int64{1, 2, blockSize - 1, blockSize, blockSize + 1, 63 * blockSize, threshold - 1, threshold} {
		next := int64(0)
		for _, s := range sampledRanges(t, size) {
			if s.start != next {
				t.Fatalf("%d bytes: read %d to %d, want on from %d", size, s.start, s.end, next)
			}
			next = s.end
		}
		if next != size {
			t.Errorf("%d bytes: read only up to %d", size, next)
		}
	}
}

func TestSampledBlocksLieInOrderWithinTheSource(t *testing.T) {
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
		widest := (size-threshold)/63 + 1
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

func TestSampleSeesEachSampledByte(t *testing.T) {
	for _, size := range []int64{1, blockSize + 1, threshold, threshold + 1} {
		source := inMemory(size)
		before := mustFingerprint(t, fingerprint.Sample{}, source, infoOf(size))
		for _, s := range sampledRanges(t, size) {
			for _, at := range []int64{s.start, (s.start + s.end) / 2, s.end - 1} {
				if mustFingerprint(t, fingerprint.Sample{}, changed(source, at), infoOf(size)) == before {
					t.Fatalf("%d bytes: a change of byte %d is not seen", size, at)
				}
			}
		}
	}
}

func TestOnlyContentSeesAChangeBetweenBlocks(t *testing.T) {
	const size, between = 10 * threshold, blockSize
	source := inMemory(size)
	other := changed(source, between)
	for _, f := range []fingerprint.Fingerprinter{fingerprint.Sample{}, fingerprint.Content{}} {
		differs := mustFingerprint(t, f, source, infoOf(size)) != mustFingerprint(t, f, other, infoOf(size))
		if _, content := f.(fingerprint.Content); differs != content {
			t.Errorf("%T: another fingerprint is %v", f, differs)
		}
	}
}

// The same with real files: what the user does to one between two runs.
func TestFilesAreRecognised(t *testing.T) {
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
	if after := fileFingerprint(t, renamed); after != before {
		t.Errorf("renamed: %s became %s", before, after)
	}

	stat, err := os.Stat(renamed)
	if err != nil {
		t.Fatal(err)
	}
	content[size-1] ^= 1
	if err := os.WriteFile(renamed, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(renamed, stat.ModTime(), stat.ModTime()); err != nil {
		t.Fatal(err)
	}
	if fileFingerprint(t, renamed) == before {
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
		Name: stat.Name(), Size: stat.Size(), ModTime: stat.ModTime(),
	})
}
