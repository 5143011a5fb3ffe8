package storagetest

import (
	"io"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

func recordsPersist(t *testing.T, open func(*testing.T, string) storage.Store) {
	name := newName()
	want := map[string]storage.Record{}
	const sessions, each = 5, 40
	for range sessions {
		s := open(t, name)
		got := all(t, s)
		withoutLeases(want, got)
		wantAll(t, got, want)
		for _, rec := range want {
			wantRecords(t, find(t, s, rec.Fingerprint), rec)
		}
		i := 0
		for id, rec := range want {
			switch i++; i % 3 {
			case 0:
				remove(t, s, rec)
				delete(want, id)
			case 1:
				rec.Updated = rec.Updated.Add(time.Second)
				want[id] = put(t, s, rec)
			}
		}
		for range each {
			rec := put(t, s, newRecord(storage.NewID()))
			want[rec.ID] = rec
		}
		closeStore(t, s)
	}
}

// withoutLeases removes the leases from want if got has none: a store for one process
// at a time drops the leases of earlier sessions.
func withoutLeases(want, got map[string]storage.Record) {
	for _, rec := range got {
		if rec.Lease != nil {
			return
		}
	}
	for id, rec := range want {
		rec.Lease = nil
		want[id] = rec
	}
}

func closedStoreReturnsErrClosed(t *testing.T, open func(*testing.T, string) storage.Store) {
	name := newName()
	s := open(t, name)
	rec := put(t, s, newRecord("key"))
	if _, ok := s.(io.Closer); !ok {
		return
	}
	closeStore(t, s)
	closeStore(t, s) // closing again does nothing
	_, err := s.Find(t.Context(), "key")
	wantError(t, "Find after Close", err, storage.ErrClosed)
	_, err = s.Put(t.Context(), rec)
	wantError(t, "Put after Close", err, storage.ErrClosed)
	wantError(t, "Delete after Close", s.Delete(t.Context(), rec.ID, rec.Revision), storage.ErrClosed)
	_, err = storage.DeleteExpired(t.Context(), s, rec.Expires)
	wantError(t, "DeleteExpired after Close", err, storage.ErrClosed)
	for _, err := range s.All(t.Context()) {
		wantError(t, "All after Close", err, storage.ErrClosed)
	}
	s = open(t, name)
	want, got := map[string]storage.Record{rec.ID: rec}, all(t, s)
	withoutLeases(want, got)
	wantRecords(t, find(t, s, "key"), want[rec.ID])
	closeStore(t, s)
}

func closeStore(t *testing.T, s storage.Store) {
	t.Helper()
	if c, ok := s.(io.Closer); ok {
		if err := c.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
}
