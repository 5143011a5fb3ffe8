package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
)

const contenders = 100

// contend puts a different version of rec in each of many goroutines and returns the
// one that was stored.
func contend(t *testing.T, s storage.Store, rec storage.Record) storage.Record {
	t.Helper()
	start := make(chan struct{})
	stored := make(chan storage.Record, contenders)
	var group sync.WaitGroup
	for i := range contenders {
		version := rec.Clone()
		version.UploadURL = fmt.Sprint("https://example.org/files/", i)
		group.Go(func() {
			<-start
			got, err := s.Put(t.Context(), version)
			switch {
			case err == nil:
				stored <- got
			case !errors.Is(err, storage.ErrConflict):
				t.Errorf("Put: %v, want ErrConflict", err)
			}
		})
	}
	close(start)
	group.Wait()
	close(stored)
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
		start := make(chan struct{})
		var puts, deletes atomic.Int32
		var group sync.WaitGroup
		contend := func(succeeded *atomic.Int32, change func() error) {
			group.Go(func() {
				<-start
				switch err := change(); {
				case err == nil:
					succeeded.Add(1)
				case !errors.Is(err, storage.ErrConflict):
					t.Errorf("error %v, want ErrConflict", err)
				}
			})
		}
		for range contenders / 2 {
			contend(&puts, func() error { _, err := s.Put(t.Context(), rec); return err })
			contend(&deletes, func() error { return s.Delete(t.Context(), rec.ID, rec.Revision) })
		}
		close(start)
		group.Wait()
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
