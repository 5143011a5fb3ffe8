package storagetest

import (
	"context"
	"iter"
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
