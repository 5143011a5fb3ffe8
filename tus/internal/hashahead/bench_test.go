package hashahead_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/internal/hashahead"
)

// BenchmarkPipeline hashes one chunk per operation, as a sender does. The memory per
// operation must not depend on the size of the chunk.
func BenchmarkPipeline(b *testing.B) {
	for _, name := range []string{"sha256", "crc32"} {
		for _, chunk := range []int64{64 << 10, 1 << 20, 8 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, chunk>>10), func(b *testing.B) {
				b.SetBytes(chunk)
				b.ReportAllocs()
				data := make([]byte, chunk)
				p := hashahead.New(lookup(b, name), func(context.Context, int64) (io.ReadCloser, error) {
					return io.NopCloser(bytes.NewReader(data)), nil
				})
				defer p.Close()
				offset := int64(0)
				for b.Loop() {
					if _, err := p.Sum(context.Background(), offset, chunk); err != nil {
						b.Fatal(err)
					}
					offset += chunk
					p.Ahead(context.Background(), offset, chunk)
				}
			})
		}
	}
}

// BenchmarkUpload hashes a whole upload per operation. The metric B/chunk includes a
// share of the one buffer, so it falls with the number of chunks.
func BenchmarkUpload(b *testing.B) {
	const chunk = 64 << 10
	data := make([]byte, chunk)
	for _, chunks := range []int64{16, 256, 4096} {
		b.Run(fmt.Sprintf("%dchunks", chunks), func(b *testing.B) {
			b.SetBytes(chunk * chunks)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				p := hashahead.New(lookup(b, "crc32"), func(context.Context, int64) (io.ReadCloser, error) {
					return io.NopCloser(bytes.NewReader(data)), nil
				})
				for i := range chunks {
					if _, err := p.Sum(context.Background(), i*chunk, chunk); err != nil {
						b.Fatal(err)
					}
					if i+1 < chunks {
						p.Ahead(context.Background(), (i+1)*chunk, chunk)
					}
				}
				p.Close()
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(int64(b.N)*chunks), "B/chunk")
		})
	}
}
