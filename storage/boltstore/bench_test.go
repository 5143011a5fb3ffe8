package boltstore_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

// fillMany puts n records with different fingerprints.
func fillMany(b *testing.B, s *boltstore.Store, n int64) {
	var group sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		group.Go(func() {
			for i := next.Add(1); i <= n; i = next.Add(1) {
				if _, err := s.Put(b.Context(), record(fmt.Sprint("key ", i), 0)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// many returns numbers of records. The large one takes half a minute to put.
func many() []int64 {
	if testing.Short() {
		return []int64{10_000}
	}
	return []int64{10_000, 100_000}
}

// benchmarkModes runs the benchmark without and with Options.Shared, for each number of
// records in the file.
func benchmarkModes(b *testing.B, run func(b *testing.B, path string, opts boltstore.Options)) {
	for _, n := range many() {
		path := filepath.Join(b.TempDir(), "uploads.db")
		s := open(b, path, nil)
		fillMany(b, s, n)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		for mode, opts := range map[string]boltstore.Options{"exclusive": {}, "shared": {Shared: true}} {
			b.Run(fmt.Sprintf("records=%d/%s", n, mode), func(b *testing.B) {
				b.ReportAllocs()
				run(b, path, opts)
			})
		}
	}
}

func BenchmarkFind(b *testing.B) {
	benchmarkModes(b, func(b *testing.B, path string, opts boltstore.Options) {
		s := open(b, path, &opts)
		for b.Loop() {
			found, err := s.Find(b.Context(), "key 5000")
			if len(found) != 1 || err != nil {
				b.Fatal(found, err)
			}
		}
		b.StopTimer()
		s.Close()
	})
}

// BenchmarkOpen mostly measures the check of the whole file.
func BenchmarkOpen(b *testing.B) {
	benchmarkModes(b, func(b *testing.B, path string, opts boltstore.Options) {
		for b.Loop() {
			s, err := boltstore.Open(path, &opts)
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAlternate measures a change and a search by one of two stores in turn, as
// processes that share the file make them.
func BenchmarkAlternate(b *testing.B) {
	benchmarkModes(b, func(b *testing.B, path string, opts boltstore.Options) {
		if !opts.Shared {
			b.Skip("one store has the file")
		}
		stores := [2]*boltstore.Store{open(b, path, &opts), open(b, path, &opts)}
		defer stores[0].Close()
		defer stores[1].Close()
		for i := 0; b.Loop(); i++ {
			rec := record("key", 0)
			rec = put(b, stores[i%2], rec)
			if found, err := stores[(i+1)%2].Find(b.Context(), "key"); len(found) != 1 || err != nil {
				b.Fatal(found, err)
			}
			if err := stores[i%2].Delete(b.Context(), rec.ID, rec.Revision); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkPut compares the store in both modes with DB.Update and DB.Batch of bbolt, for 1
// and 64 writers.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 64} {
		for mode, opts := range map[string]boltstore.Options{"exclusive": {}, "shared": {Shared: true}} {
			b.Run(fmt.Sprintf("writers=%d/%s", writers, mode), func(b *testing.B) {
				s := open(b, filepath.Join(b.TempDir(), "uploads.db"), &opts)
				benchmarkWriters(b, writers, func() error {
					_, err := s.Put(b.Context(), record("key", 0))
					return err
				})
			})
		}
		for name, write := range map[string]func(*bbolt.DB, func(*bbolt.Tx) error) error{
			"Update": (*bbolt.DB).Update, "Batch": (*bbolt.DB).Batch,
		} {
			b.Run(fmt.Sprintf("writers=%d/bbolt-%s", writers, name), func(b *testing.B) {
				db, err := bbolt.Open(filepath.Join(b.TempDir(), "plain.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType})
				if err != nil {
					b.Fatal(err)
				}
				defer db.Close()
				benchmarkWriters(b, writers, func() error {
					rec := record("key", 0)
					rec.Revision = 1
					data, err := storage.Encode(rec)
					if err != nil {
						return err
					}
					return write(db, func(tx *bbolt.Tx) error {
						bucket, err := tx.CreateBucketIfNotExists([]byte("records"))
						if err != nil {
							return err
						}
						return bucket.Put([]byte(rec.ID), data)
					})
				})
			})
		}
	}
}

func benchmarkWriters(b *testing.B, writers int, write func() error) {
	b.ReportAllocs()
	var group sync.WaitGroup
	var next atomic.Int64
	b.ResetTimer()
	for range writers {
		group.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := write(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}
