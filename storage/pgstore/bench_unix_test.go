//go:build unix

package pgstore_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/pgstore"
)

// recordsVariable is the number of records in the table of BenchmarkStore.
const recordsVariable = "TUS_BENCH_RECORDS"

// BenchmarkStore measures a store with many records, on a server with default settings. To
// put a million records takes some minutes:
//
//	TUS_BENCH_RECORDS=1000000 go test -run '^$' -bench Store -benchtime 30s -timeout 1h
func BenchmarkStore(b *testing.B) {
	n := int64(1000)
	if text := os.Getenv(recordsVariable); text != "" {
		var err error
		if n, err = strconv.ParseInt(text, 10, 64); err != nil {
			b.Fatalf("%s: %v", recordsVariable, err)
		}
	}
	c := startCluster(b, "shared_buffers=128MB")
	s := openStore(b, newPool(b, c.url(), func(c *pgxpool.Config) { c.MaxConns = 64 }), "tus_uploads")

	key := func(i int64) string { return fmt.Sprint("sample-v1:", i%n) }
	var next atomic.Int64
	create := func() error {
		_, err := s.Put(b.Context(), typicalRecord(key(next.Add(1))))
		return err
	}
	benchmarkCalls(b, 64, n, create)

	// A factor without common divisors visits the records in no order.
	nextKey := func() string { return key(next.Add(1) * 7_368_787) }
	for _, parallel := range []int{1, 64} {
		b.Run(fmt.Sprintf("Find/parallel=%d", parallel), func(b *testing.B) {
			benchmarkCalls(b, parallel, int64(b.N), func() error {
				found, err := s.Find(b.Context(), nextKey())
				if len(found) != 1 {
					return fmt.Errorf("found %d records: %w", len(found), err)
				}
				return err
			})
		})
		b.Run(fmt.Sprintf("FindNone/parallel=%d", parallel), func(b *testing.B) {
			benchmarkCalls(b, parallel, int64(b.N), func() error {
				_, err := s.Find(b.Context(), "none "+nextKey())
				return err
			})
		})
		b.Run(fmt.Sprintf("Renew/parallel=%d", parallel), func(b *testing.B) { benchmarkRenewals(b, s, parallel, nextKey) })
	}
	b.Run("All", func(b *testing.B) {
		for b.Loop() {
			yielded := int64(0)
			for _, err := range s.All(b.Context()) {
				if yielded++; err != nil {
					b.Fatal(err)
				}
			}
			if yielded != n {
				b.Fatalf("All yields %d records, want %d", yielded, n)
			}
		}
	})
	b.Run("Create/parallel=64", func(b *testing.B) { benchmarkCalls(b, 64, int64(b.N), create) })
}

// benchmarkRenewals renews leases. Each worker has a record of its own, as an uploader has.
func benchmarkRenewals(b *testing.B, s *pgstore.Store, parallel int, nextKey func() string) {
	held := make(chan storage.Record, parallel)
	for taken := map[string]bool{}; len(held) < parallel; {
		found, err := s.Find(b.Context(), nextKey())
		if err != nil || len(found) != 1 {
			b.Fatalf("found %d records: %v", len(found), err)
		}
		if !taken[found[0].ID] {
			taken[found[0].ID] = true
			held <- found[0]
		}
	}
	benchmarkCalls(b, parallel, int64(b.N), func() (err error) {
		rec := <-held
		rec.Lease.Until = rec.Lease.Until.Add(time.Second)
		if rec, err = s.Put(b.Context(), rec); err == nil {
			held <- rec
		}
		return err
	})
}

// benchmarkCalls makes n calls from several goroutines, and reports how long they take.
func benchmarkCalls(b *testing.B, parallel int, n int64, call func() error) {
	b.Helper()
	var group sync.WaitGroup
	var next atomic.Int64
	took := make([]time.Duration, n)
	b.ReportAllocs()
	b.ResetTimer()
	for range parallel {
		group.Go(func() {
			for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
				start := time.Now()
				if err := call(); err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(start)
			}
		})
	}
	group.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(n)/max(b.Elapsed().Seconds(), 1e-9), "calls/s")
	b.ReportMetric(took[n/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[n*99/100].Seconds()*1000, "p99-ms")
}

// typicalRecord returns a record of about 0.8 kB when encoded.
func typicalRecord(fingerprint string) storage.Record {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	return storage.Record{
		ID: storage.NewID(), Fingerprint: fingerprint, Endpoint: "https://uploads.example.org/files/",
		UploadURL: "https://uploads.example.org/files/" + storage.NewID() + "+" + strings.Repeat("x", 64), Size: 1 << 30,
		Seal:     storage.NewID(),
		Metadata: map[string]string{"filename": "holiday-2026-11-30.mov", "filetype": "video/quicktime"},
		Created:  now, Updated: now, Expires: now.Add(24 * time.Hour),
		Lease: &storage.Lease{Holder: storage.NewID(), Process: "v1/worker-17/" + storage.NewID() + "/4026531836/4711/123456", Until: now.Add(time.Minute)},
	}
}
