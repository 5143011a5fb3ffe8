package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Store keeps records. All methods may be called concurrently. They return the error
// of ctx if it is done when they are called. Records are copied on the way in and
// out, so slices and maps are never shared with the caller. A store that only one
// process can open may return records without leases that an earlier process
// acquired. Package storagetest tests everything that is documented here.
type Store interface {
	// Find returns the records with the fingerprint, in the order of
	// [MostRecentFirst]. It returns no error if there are none. Find omits records
	// that cannot be read, such as corrupt ones, and returns the others along with
	// an error that joins an [*Error] with the ID for each omitted record.
	Find(ctx context.Context, fingerprint string) ([]Record, error)

	// Put stores rec if rec.Revision is the revision stored now, or 0 if the record
	// is not stored. Otherwise it returns an error matching [ErrConflict]. Put
	// returns rec as stored, with the next revision. The record is durable when Put
	// returns nil. After an error other than ErrConflict, [ErrInvalidRecord] or
	// [ErrTooLarge] the record may or may not be stored.
	//
	// Every store takes records of up to 256 KiB, as encoded by [Encode]. For a larger
	// one, Put may return an error matching ErrTooLarge.
	//
	// If the stored record of the same ID has another fingerprint, the error
	// matches ErrConflict or ErrInvalidRecord.
	Put(ctx context.Context, rec Record) (Record, error)

	// Delete durably removes the record if revision is the revision stored now.
	// Otherwise it returns an error matching [ErrConflict], or nil if the record is
	// not stored. A record that cannot be read has no revision: 0 removes it, and
	// any other revision is an error.
	Delete(ctx context.Context, id string, revision int64) error

	// All iterates over all records, in no particular order. The loop may change
	// the store: records that are put or deleted during the iteration may or may
	// not be yielded, all others are yielded exactly once. For a record that cannot
	// be read, All yields an [*Error] with its ID and continues. After any other
	// error, such as that of ctx, the iteration ends.
	All(ctx context.Context) iter.Seq2[Record, error]
}

// Clock is a [Store] with its own clock. The clocks of machines that share a store may
// differ by minutes, so that one machine considers a [Lease] over that another renews.
// Package tus acquires and compares leases by the time of the Clock; pass it to
// [DeleteExpired]. The stores of this module are not Clocks.
type Clock interface {
	// Now returns the time of the store, which is the same over all connections.
	Now(ctx context.Context) (time.Time, error)
}

// concurrentDeletes is how many calls of Delete DeleteExpired makes at a time: a store
// may commit them together.
const concurrentDeletes = 16

// DeleteExpired deletes the records whose Expires has passed and whose lease, if any, is
// over at the time now, which should be the present. It returns the number of deleted
// records. It keeps records that cannot be read, and those that change meanwhile.
func DeleteExpired(ctx context.Context, s Store, now time.Time) (int, error) {
	var deleted atomic.Int64
	deletes, ctx := errgroup.WithContext(ctx)
	deletes.SetLimit(concurrentDeletes)
	for rec, err := range s.All(ctx) {
		var record *Error
		switch {
		case errors.As(err, &record) && record.ID != "": // cannot be read
		case err != nil:
			deletes.Go(func() error { return err })
		case rec.expired(now):
			deletes.Go(func() error {
				err := s.Delete(ctx, rec.ID, rec.Revision)
				if err == nil {
					deleted.Add(1)
				}
				if errors.Is(err, ErrConflict) {
					return nil // in use again
				}
				return err
			})
		}
	}
	if err := deletes.Wait(); err != nil {
		return int(deleted.Load()), fmt.Errorf("deleting expired records: %w", err)
	}
	return int(deleted.Load()), nil
}

// longestLease is twice the duration of a lease of package tus, because clocks differ.
const longestLease = 2 * time.Minute

func (r Record) expired(now time.Time) bool {
	left := time.Duration(0)
	if r.Lease != nil {
		left = r.Lease.Until.Sub(now)
	}
	running := left > 0 && left <= longestLease
	return !r.Expires.IsZero() && !r.Expires.After(now) && !running
}
