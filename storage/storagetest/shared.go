package storagetest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// alternating is a store whose calls go to two stores in turn.
type alternating struct {
	stores [2]storage.Store
	calls  atomic.Int64
}

func (a *alternating) next() storage.Store { return a.stores[a.calls.Add(1)%2] }

func (a *alternating) Find(ctx context.Context, fingerprint string) ([]storage.Record, error) {
	return a.next().Find(ctx, fingerprint)
}

func (a *alternating) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	return a.next().Put(ctx, rec)
}

func (a *alternating) Delete(ctx context.Context, id string, revision int64) error {
	return a.next().Delete(ctx, id, revision)
}

func (a *alternating) All(ctx context.Context) iter.Seq2[storage.Record, error] {
	return a.next().All(ctx)
}

// changesAreVisible changes a record over both stores in turn. Each must see the changes
// of the other at once.
func changesAreVisible(t *testing.T, a, b storage.Store) {
	for range 10 {
		first := put(t, a, newRecord("key"))
		wantRecords(t, find(t, b, "key"), first)
		wantRecords(t, []storage.Record{all(t, b)[first.ID]}, first)

		second := put(t, b, first)
		wantRecords(t, find(t, a, "key"), second)
		_, err := a.Put(t.Context(), first)
		wantError(t, "Put of the old revision", err, storage.ErrConflict)
		wantError(t, "Delete of the old revision", a.Delete(t.Context(), first.ID, first.Revision), storage.ErrConflict)
		first.Revision = 0
		_, err = a.Put(t.Context(), first)
		wantError(t, "Put of a new record with the same ID", err, storage.ErrConflict)
		wantRecords(t, find(t, b, "key"), second)

		remove(t, a, second)
		wantRecords(t, find(t, b, "key"))
		_, err = b.Put(t.Context(), second)
		wantError(t, "Put of a deleted record", err, storage.ErrConflict)
		if err := b.Delete(t.Context(), second.ID, second.Revision); err != nil {
			t.Errorf("Delete of a deleted record: %v", err)
		}
		a, b = b, a
	}
}

// leaseIsAcquiredOnce acquires the lease of one revision over both stores at the same time.
// One call must succeed, and both stores must return its lease.
func leaseIsAcquiredOnce(t *testing.T, a, b storage.Store) {
	for range 5 {
		free := newRecord("leased")
		free.Lease = nil
		free = put(t, a, free)
		acquired := make(chan storage.Record, contenders)
		race(t, func(i int) error {
			rec := free.Clone()
			rec.Lease = &storage.Lease{Holder: storage.NewID(), Process: "process", Until: epoch().Add(time.Hour)}
			got, err := [2]storage.Store{a, b}[i%2].Put(t.Context(), rec)
			if err == nil {
				acquired <- got
			}
			return err
		})
		if len(acquired) != 1 {
			t.Fatalf("%d of %d calls acquired the lease, want 1", len(acquired), contenders)
		}
		rec := <-acquired
		wantRecords(t, find(t, a, "leased"), rec)
		wantRecords(t, find(t, b, "leased"), rec)
		remove(t, b, rec)
		a, b = b, a
	}
}

// incrementsAreNotLost increments a number in one record from several goroutines over
// both stores. Each revision must be stored by one of them.
func incrementsAreNotLost(t *testing.T, a, b storage.Store) {
	put(t, a, newRecord("counter"))
	const workers, increments = 6, 10
	revisions := make(chan int64, workers*increments)
	var group sync.WaitGroup
	for w := range workers {
		s := [2]storage.Store{a, b}[w%2]
		group.Go(func() {
			for done := 0; done < increments && !t.Failed(); {
				found, err := s.Find(t.Context(), "counter")
				if err != nil || len(found) != 1 {
					t.Errorf("found %d records: %v", len(found), err)
					return
				}
				rec := found[0]
				rec.Size++
				stored, err := s.Put(t.Context(), rec)
				if err == nil {
					revisions <- stored.Revision
					done++
				} else if !errors.Is(err, storage.ErrConflict) {
					t.Errorf("Put: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	close(revisions)
	stored := map[int64]bool{}
	for revision := range revisions {
		if stored[revision] {
			t.Errorf("revision %d was stored twice", revision)
		}
		stored[revision] = true
	}
	want := newRecord("counter").Size + workers*increments
	for _, s := range []storage.Store{a, b} {
		found := find(t, s, "counter")
		if len(found) != 1 || found[0].Size != want || found[0].Revision != 1+workers*increments {
			t.Errorf("found %+v, want the number %d", found, want)
		}
	}
}

// allDuringChanges changes the store in the background while the other one iterates, which
// must yield the records that do not change.
func allDuringChanges(t *testing.T, a, b storage.Store) {
	want := putMany(t, a)
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			rec, err := b.Put(t.Context(), newRecord("changing"))
			if err == nil {
				rec, err = b.Put(t.Context(), rec)
			}
			if err == nil {
				err = b.Delete(t.Context(), rec.ID, rec.Revision)
			}
			if err != nil {
				t.Errorf("change: %v", err)
				return
			}
		}
	})
	for range 3 {
		got := all(t, a)
		for id, rec := range got {
			if rec.Fingerprint == "changing" {
				delete(got, id)
			}
		}
		wantAll(t, got, want)
	}
	close(stop)
	group.Wait()
	wantAll(t, all(t, b), want)
}

// clockIsShared compares the clocks of two stores, if they have clocks.
func clockIsShared(t *testing.T, a, b storage.Store) {
	if _, ok := a.(storage.Clock); !ok {
		t.Skip("the store is not a storage.Clock")
	}
	var latest time.Time
	for range 10 {
		now, err := a.(storage.Clock).Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if now.Before(latest) {
			t.Errorf("one clock is %v behind the other", latest.Sub(now))
		}
		latest = now
		a, b = b, a
	}
	_, err := a.(storage.Clock).Now(canceledContext(t))
	wantError(t, "Now", err, context.Canceled)
}
