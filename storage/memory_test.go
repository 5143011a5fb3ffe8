package storage_test

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/storagetest"
)

// clockStore is a store with a clock.
type clockStore struct{ *storage.Memory }

func (clockStore) Now(ctx context.Context) (time.Time, error) { return time.Now(), ctx.Err() }

var _ storage.Clock = clockStore{}

func TestMemory_PassesStoreTests(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store { return new(storage.Memory) })
	stores := map[string]storage.Store{}
	storagetest.RunShared(t, func(_ *testing.T, name string) storage.Store {
		if stores[name] == nil {
			stores[name] = clockStore{new(storage.Memory)}
		}
		return stores[name]
	})
}

// changingStore changes each record just before All yields it.
type changingStore struct{ *storage.Memory }

func (s changingStore) All(ctx context.Context) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		for rec, err := range s.Memory.All(ctx) {
			if _, err := s.Memory.Put(ctx, rec); err != nil {
				panic(err)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

func TestDeleteExpired_KeepsRecordChangedMeanwhile(t *testing.T) {
	memory := new(storage.Memory)
	now := time.Now()
	_, err := memory.Put(t.Context(), storage.Record{ID: "a", Fingerprint: "f", Expires: now.Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	n, err := storage.DeleteExpired(t.Context(), changingStore{memory}, now)
	if n != 0 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	if found, err := memory.Find(t.Context(), "f"); len(found) != 1 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
}

// failingStore yields two records that cannot be read, and then fails.
type failingStore struct{ *storage.Memory }

func (s failingStore) All(context.Context) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		_ = yield(storage.Record{}, &storage.Error{ID: "a", Err: storage.ErrCorrupt}) &&
			yield(storage.Record{}, &storage.Error{ID: "b", Err: fs.ErrPermission}) &&
			yield(storage.Record{}, errDisk)
	}
}

var errDisk = errors.New("disk failure")

func TestDeleteExpired_StopsOnlyAtStoreErrors(t *testing.T) {
	_, err := storage.DeleteExpired(t.Context(), failingStore{new(storage.Memory)}, time.Now())
	if !errors.Is(err, errDisk) {
		t.Errorf("error %v, want %v", err, errDisk)
	}
}
