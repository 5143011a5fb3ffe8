package checksum_test

import (
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
)

func BenchmarkAlgorithm(b *testing.B) {
	data := make([]byte, 1<<20)
	for _, a := range checksum.Builtin() {
		b.Run(a.Name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			h := a.New()
			for b.Loop() {
				h.Write(data)
			}
		})
	}
}
