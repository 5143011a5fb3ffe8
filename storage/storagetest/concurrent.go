package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
)

const contenders = 100

// contend puts what each of many goroutines makes of rec, all at once, and
// returns the one that was stored.
func contend(t *testing.T, s storage.Store, rec storage.Record) storage.Record {
	t.Helper()
	start := make(chan struct{})
	winners := make(chan storage.Record, contenders)
	var group sync.WaitGroup
	for i := range contenders {
		mine := rec.Clone()
		mine.UploadURL = fmt.Sprint("https://example.org/files/", i)
		group.Go(func() {
			<-start
			stored, err := s.Put(t.Context(), mine)
			switch {
			case err == nil:
				winners <- stored
			case !errors.Is(err, storage.ErrConflict):
				t.Errorf("Put: %v, want ErrConflict", err)
			}
		})
	}
	close(start)
	group.Wait()
	close(winners)
	if len(winners) != 1 {
		t.Fatalf("%d of %d goroutines won, want 1", len(winners), contenders)
	}
	return <-winners
}

func oneOfManyWinsEachRevision(t *testing.T, s storage.Store) {
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

func oneOfManyCreates(t *testing.T, s storage.Store) {
	for range 5 {
		rec := contend(t, s, newRecord("contended"))
		if rec.Revision != 1 {
			t.Fatalf("revision %d, want 1", rec.Revision)
		}
		wantRecords(t, find(t, s, "contended"), rec)
		if err := s.Delete(t.Context(), rec.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// concurrentUseOfManyRecords lets each goroutine work on records of its own: none
// may fail because of the others.
func concurrentUseOfManyRecords(t *testing.T, s storage.Store) {
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
				mine := 0
				for _, r := range found {
					if r.ID == rec.ID && equal(r, rec) {
						mine++
					}
				}
				if mine != 1 {
					t.Errorf("Find has the record just put %d times", mine)
				}
				for _, err := range s.All(t.Context()) {
					if err != nil {
						t.Errorf("All: %v", err)
					}
				}
				if err := s.Delete(t.Context(), rec.ID); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
		})
	}
	group.Wait()
	if n := len(all(t, s)); n != 0 {
		t.Errorf("%d records are left", n)
	}
}
