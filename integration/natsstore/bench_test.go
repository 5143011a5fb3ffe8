package natsstore_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
)

// benchmarkModes runs the benchmark with servers that sync every two minutes, and always.
func benchmarkModes(b *testing.B, run func(b *testing.B, s storage.Store)) {
	for name, always := range map[string]bool{"default": false, "always": true} {
		b.Run("sync_interval="+name, func(b *testing.B) {
			opts := options(b.TempDir())
			opts.SyncAlways = always
			run(b, open(b, start(b, opts).ClientURL(), nil))
		})
	}
}

func BenchmarkFind(b *testing.B) {
	opts := options(b.TempDir())
	opts.SyncAlways = false
	s := open(b, start(b, opts).ClientURL(), nil)
	for i := range 1000 {
		put(b, s, record(fmt.Sprint("key ", i)))
	}
	for name, want := range map[string]int{"key 500": 1, "none": 0} {
		b.Run(fmt.Sprint("records=", want), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if found, err := s.Find(b.Context(), name); len(found) != want || err != nil {
					b.Fatal(found, err)
				}
			}
		})
	}
}

// BenchmarkPut renews records of 1 and 64 writers.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			benchmarkModes(b, func(b *testing.B, s storage.Store) {
				b.ReportAllocs()
				var group sync.WaitGroup
				var next atomic.Int64
				for w := range writers {
					rec := put(b, s, record(fmt.Sprint("key ", w)))
					group.Go(func() {
						for next.Add(1) <= int64(b.N) {
							var err error
							if rec, err = s.Put(b.Context(), rec); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				group.Wait()
			})
		})
	}
}
