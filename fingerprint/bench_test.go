package fingerprint_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-175555ba/tus-go/fingerprint"
)

// BenchmarkSample reads sparse files, which use no disk space.
func BenchmarkSample(b *testing.B) {
	for _, size := range []int64{64 << 10, 1 << 20, 10 << 30, 1 << 40} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			benchmark(b, fingerprint.Sample{}, size)
		})
	}
}

// BenchmarkContent reads from the page cache. BenchmarkReadOnly is the baseline: it
// reads without hashing.
func BenchmarkContent(b *testing.B) {
	for _, size := range []int64{64 << 10, 1 << 20, 256 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(size)
			benchmark(b, fingerprint.Content{}, size)
		})
	}
}

func BenchmarkReadOnly(b *testing.B) {
	const size = 256 << 20
	b.SetBytes(size)
	benchmark(b, fingerprint.Func(func(_ context.Context, r io.ReaderAt, info fingerprint.Info) (string, error) {
		buf := make([]byte, 256<<10)
		for offset := int64(0); offset < info.Size; offset += int64(len(buf)) {
			if _, err := r.ReadAt(buf, offset); err != nil {
				return "", err
			}
		}
		return "read", nil
	}), size)
}

func benchmark(b *testing.B, f fingerprint.Fingerprinter, size int64) {
	b.ReportAllocs()
	file, err := os.Create(filepath.Join(b.TempDir(), "sparse"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		b.Fatal(err)
	}
	info := fingerprint.Info{Size: size, ModTime: moment}
	if _, err := f.Fingerprint(context.Background(), file, info); err != nil { // fills the page cache
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := f.Fingerprint(context.Background(), file, info); err != nil {
			b.Fatal(err)
		}
	}
}
