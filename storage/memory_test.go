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

func TestMemoryIsAStore(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store { return new(storage.Memory) })
}

// plain hides all methods but those of Store.
type plain struct{ storage.Store }

// DeleteExpired has to work with stores that have none of their own.
func TestStoreWithoutDeleteExpired(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store { return plain{new(storage.Memory)} })
}

// overtaken is a store whose records change right after All has yielded them.
type overtaken struct{ *storage.Memory }

func (s overtaken) All(ctx context.Context) iter.Seq2[storage.Record, error] {
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

func TestDeleteExpiredSparesARecordThatIsTakenMeanwhile(t *testing.T) {
	memory := new(storage.Memory)
	now := time.Now()
	_, err := memory.Put(t.Context(), storage.Record{ID: "a", Fingerprint: "f", Expires: now.Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	n, err := storage.DeleteExpired(t.Context(), plain{overtaken{memory}}, now)
	if n != 0 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	if found, err := memory.Find(t.Context(), "f"); len(found) != 1 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
}

// halting yields a damaged record, and then fails.
type halting struct{ *storage.Memory }

func (s halting) All(context.Context) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		_ = yield(storage.Record{}, &storage.Error{ID: "a", Err: storage.ErrCorrupt}) &&
			yield(storage.Record{}, &storage.Error{ID: "b", Err: fs.ErrPermission}) &&
			yield(storage.Record{}, errDisk)
	}
}

var errDisk = errors.New("disk on fire")

func TestDeleteExpiredStopsOnlyAtErrorsOfTheStore(t *testing.T) {
	_, err := storage.DeleteExpired(t.Context(), plain{halting{new(storage.Memory)}}, time.Now())
	if !errors.Is(err, errDisk) {
		t.Errorf("error %v, want %v", err, errDisk)
	}
}
