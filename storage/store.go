package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Store keeps records. A store that only one process can have open may return a
// record without the lease that a process before it has taken. All methods may be called from several goroutines at the
// same time, and return the error of ctx if it has ended before they began. Slices
// and maps are never shared with the caller: records are copied on their way in
// and out. Package storagetest checks all that is said here.
type Store interface {
	// Find returns the records with that fingerprint in the order of
	// [MostRecentFirst]. That there are none is no error. Records that cannot be
	// read, such as damaged ones, are left out: then an error comes along with
	// the others, an [*Error] with the ID for each of them.
	Find(ctx context.Context, fingerprint string) ([]Record, error)

	// Put stores rec if rec.Revision is the revision that is stored now, 0
	// standing for a record that is not stored; else it returns [ErrConflict].
	// It returns rec as stored, with the next revision. The record is durable
	// when Put returns nil. After an error other than ErrConflict or
	// [ErrInvalidRecord] it may or may not have been stored.
	//
	// A record with another fingerprint than the stored one of the same ID is
	// either of those two errors.
	Put(ctx context.Context, rec Record) (Record, error)

	// Delete removes the record, durably, whatever its revision. That it does not
	// exist is no error.
	Delete(ctx context.Context, id string) error

	// All iterates over all records, in no particular order. The loop may change
	// the store: records that are put or deleted while it runs may or may not be
	// seen, all others are seen exactly once. For a record that cannot be read,
	// an [*Error] with its ID is yielded, and iteration goes on; after any other
	// error, such as that of ctx when it ends meanwhile, it ends.
	All(ctx context.Context) iter.Seq2[Record, error]
}

// Expirer is a [Store] with a way of its own, faster or safer, to do what
// [DeleteExpired] does.
type Expirer interface {
	// DeleteExpired deletes the records that have expired at the time now (see
	// [Record.Expired]) and returns how many those were. Records that cannot be
	// read are left alone.
	DeleteExpired(ctx context.Context, now time.Time) (int, error)
}

// sweepLease is for how long DeleteExpired claims a record before it deletes it.
const sweepLease = time.Minute

// DeleteExpired deletes the records whose Expires has passed at the time now, but
// for those on which somebody is at work (see [Record.Expired]), and returns how
// many it deleted. Records that cannot be read are left alone. If the store is an
// [Expirer], this is its DeleteExpired.
func DeleteExpired(ctx context.Context, s Store, now time.Time) (int, error) {
	if e, ok := s.(Expirer); ok {
		return e.DeleteExpired(ctx, now)
	}
	deleted := 0
	for rec, err := range s.All(ctx) {
		if unreadable(err) {
			continue
		}
		if err != nil {
			return deleted, fmt.Errorf("deleting expired records: %w", err)
		}
		if !rec.Expired(now) {
			continue
		}
		// Delete asks for no revision. The lease makes sure that nobody has
		// begun to use the record since it was read.
		rec.Lease = &Lease{Holder: NewID(), Until: now.Add(sweepLease)}
		rec, err = s.Put(ctx, rec)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err == nil {
			err = s.Delete(ctx, rec.ID)
		}
		if err != nil {
			return deleted, fmt.Errorf("deleting expired records: %w", err)
		}
		deleted++
	}
	return deleted, nil
}

// unreadable reports whether err is about a single record, as All yields it for
// one that it could not read.
func unreadable(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.ID != ""
}
