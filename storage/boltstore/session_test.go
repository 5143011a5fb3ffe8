package boltstore_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

// leaseOf returns the lease of the only record of a store, as Find and All return it.
func leaseOf(t *testing.T, s *boltstore.Store) *storage.Lease {
	t.Helper()
	found, err := s.Find(t.Context(), "key")
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	for rec, err := range s.All(t.Context()) {
		if err != nil || (rec.Lease == nil) != (found[0].Lease == nil) {
			t.Fatalf("All yields %+v, %v, and Find %+v", rec, err, found)
		}
	}
	return found[0].Lease
}

func TestLease_OfEarlierSessionIsDropped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	rec := record("key", 0)
	rec.Expires = time.Now().Add(-time.Hour)
	rec.Lease = &storage.Lease{Holder: "first", Until: time.Now().Add(time.Minute)}
	first := open(t, path, nil)
	rec = put(t, first, rec)
	if lease := leaseOf(t, first); lease == nil || lease.Holder != "first" {
		t.Errorf("lease is %+v", lease)
	}
	if n, err := storage.DeleteExpired(t.Context(), first, time.Now()); n != 0 || err != nil {
		t.Errorf("a leased record was deleted: %d, %v", n, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := open(t, path, nil)
	if lease := leaseOf(t, second); lease != nil {
		t.Errorf("lease is %+v", lease)
	}
	rec.Lease = &storage.Lease{Holder: "second", Until: time.Now().Add(time.Minute)}
	rec = put(t, second, rec) // without a conflict
	if lease := leaseOf(t, second); lease == nil || lease.Holder != "second" {
		t.Errorf("lease is %+v", lease)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}

	third := open(t, path, nil)
	if n, err := storage.DeleteExpired(t.Context(), third, time.Now()); n != 1 || err != nil {
		t.Errorf("DeleteExpired: %d, %v, want 1", n, err)
	}
}

func TestLease_PutAfterDeleteKeepsLease(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "uploads.db"), nil)
	rec := record("key", 0)
	rec.Lease = &storage.Lease{Holder: "holder", Until: time.Now().Add(time.Minute)}
	for range 2 {
		put(t, s, rec)
		if leaseOf(t, s) == nil {
			t.Error("no lease")
		}
		if err := s.Delete(t.Context(), rec.ID, 1); err != nil {
			t.Fatal(err)
		}
	}
}
