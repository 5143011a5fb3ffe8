package storagetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
)

const contenders = 100

// race calls change at the same time in many goroutines. Each call must succeed or
// return ErrConflict.
func race(t *testing.T, change func(i int) error) {
	t.Helper()
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range contenders {
		group.Go(func() {
			<-start
			if err := change(i); err != nil {
				wantError(t, "concurrent change", err, storage.ErrConflict)
			}
		})
	}
	close(start)
	group.Wait()
}

// contend puts a different version of rec in each of many goroutines and returns the
// one that was stored.
func contend(t *testing.T, s storage.Store, rec storage.Record) storage.Record {
	t.Helper()
	stored := make(chan storage.Record, contenders)
	race(t, func(i int) error {
		version := rec.Clone()
		version.UploadURL = fmt.Sprint("https://example.org/files/", i)
		got, err := s.Put(t.Context(), version)
		if err == nil {
			stored <- got
		}
		return err
	})
	if len(stored) != 1 {
		t.Fatalf("%d of %d calls of Put succeeded, want 1", len(stored), contenders)
	}
	return <-stored
}

func concurrentPutsStoreOneUpdate(t *testing.T, s storage.Store) {
	other := put(t, s, newRecord("key"))
	rec := put(t, s, newRecord("contended"))
	for round := int64(2); round < 7; round++ {
		rec = contend(t, s, rec)
		if rec.Revision != round {
			t.Fatalf("revision %d, want %d", rec.Revision, round)
		}
		wantRecords(t, find(t, s, "contended"), rec)
	}
	wantRecords(t, find(t, s, "key"), other)
}

func concurrentPutsCreateOnce(t *testing.T, s storage.Store) {
	for range 5 {
		rec := contend(t, s, newRecord("contended"))
		if rec.Revision != 1 {
			t.Fatalf("revision %d, want 1", rec.Revision)
		}
		wantRecords(t, find(t, s, "contended"), rec)
		remove(t, s, rec)
	}
}

// concurrentPutOrDelete puts and deletes one revision in many goroutines. If a Put
// succeeds, all others conflict. If a Delete succeeds, so do the other Deletes, as the
// record does not exist any more.
func concurrentPutOrDelete(t *testing.T, s storage.Store) {
	for range 10 {
		rec := put(t, s, newRecord("contended"))
		var puts, deletes atomic.Int32
		race(t, func(i int) (err error) {
			succeeded := &puts
			if i%2 == 0 {
				_, err = s.Put(t.Context(), rec)
			} else {
				succeeded = &deletes
				err = s.Delete(t.Context(), rec.ID, rec.Revision)
			}
			if err == nil {
				succeeded.Add(1)
			}
			return err
		})
		found := find(t, s, "contended")
		stored := len(found) == 1 && puts.Load() == 1 && deletes.Load() == 0
		deleted := len(found) == 0 && puts.Load() == 0 && deletes.Load() == contenders/2
		if !stored && !deleted {
			t.Fatalf("%d records after %d Puts and %d Deletes of one revision succeeded", len(found), puts.Load(), deletes.Load())
		}
		for _, rec := range found {
			remove(t, s, rec)
		}
	}
}

// concurrentRecordsAreIndependent changes different records in several goroutines. None may
// fail because of the others.
func concurrentRecordsAreIndependent(t *testing.T, s storage.Store) {
	const workers, rounds = 16, 10
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			fingerprint := fmt.Sprint("key ", w%4)
			for range rounds {
				rec, err := s.Put(t.Context(), newRecord(fingerprint))
				if err == nil {
					rec, err = s.Put(t.Context(), rec)
				}
				if err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				found, err := s.Find(t.Context(), fingerprint)
				if err != nil {
					t.Errorf("Find: %v", err)
				}
				matches := 0
				for _, r := range found {
					if r.ID == rec.ID && equal(r, rec) {
						matches++
					}
				}
				if matches != 1 {
					t.Errorf("Find returned the new record %d times, want 1", matches)
				}
				for _, err := range s.All(t.Context()) {
					if err != nil {
						t.Errorf("All: %v", err)
					}
				}
				if err := s.Delete(t.Context(), rec.ID, rec.Revision); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
		})
	}
	group.Wait()
	wantCount(t, s, 0)
}
