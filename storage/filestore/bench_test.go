package filestore_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

const many = 10_000

func BenchmarkFind(b *testing.B) {
	s := open(b, b.TempDir(), nil)
	var group sync.WaitGroup
	var next atomic.Int64
	for range 16 {
		group.Go(func() {
			for i := next.Add(1); i <= many; i = next.Add(1) {
				if _, err := s.Put(b.Context(), record(fmt.Sprint("key ", i))); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	b.ReportAllocs()
	for b.Loop() {
		found, err := s.Find(b.Context(), "key 5000")
		if len(found) != 1 || err != nil {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := open(b, b.TempDir(), nil)
			b.ReportAllocs()
			var group sync.WaitGroup
			var next atomic.Int64
			b.ResetTimer()
			for range writers {
				group.Go(func() {
					for next.Add(1) <= int64(b.N) {
						if _, err := s.Put(b.Context(), record("key")); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
		})
	}
}
