package storage_test

import (
	"fmt"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
)

func BenchmarkFind(b *testing.B) {
	store := new(storage.Memory)
	for i := range 10_000 {
		rec := fullRecord()
		rec.ID, rec.Revision, rec.Fingerprint = storage.NewID(), 0, fmt.Sprint("key ", i)
		if _, err := store.Put(b.Context(), rec); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		found, err := store.Find(b.Context(), "key 5000")
		if len(found) != 1 || err != nil {
			b.Fatal(found, err)
		}
	}
}
