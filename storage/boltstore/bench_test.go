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

const many = 10_000

// fillMany puts records with different fingerprints.
func fillMany(b *testing.B, s *boltstore.Store) {
	var group sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		group.Go(func() {
			for i := next.Add(1); i <= many; i = next.Add(1) {
				if _, err := s.Put(b.Context(), record(fmt.Sprint("key ", i), 0)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkFind(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "uploads.db"), nil)
	fillMany(b, s)
	b.ReportAllocs()
	for b.Loop() {
		found, err := s.Find(b.Context(), "key 5000")
		if len(found) != 1 || err != nil {
			b.Fatal(found, err)
		}
	}
}

// BenchmarkOpen mostly measures the check of the whole file.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "uploads.db")
	s := open(b, path, nil)
	fillMany(b, s)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s, err := boltstore.Open(path, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPut compares the store with DB.Update and DB.Batch of bbolt, for 1 and 64
// writers.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d/store", writers), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "uploads.db"), nil)
			benchmarkWriters(b, writers, func() error {
				_, err := s.Put(b.Context(), record("key", 0))
				return err
			})
		})
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
