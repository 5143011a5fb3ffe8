package boltstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
)

// Find implements [storage.Store].
func (s *Store) Find(ctx context.Context, fingerprint string) ([]storage.Record, error) {
	ids := s.index.find(keyOf(fingerprint))
	var found []storage.Record
	var unreadable []error
	err := s.view(ctx, func(b *bbolt.Bucket) {
		for _, id := range ids {
			value := b.Get([]byte(id))
			if value == nil {
				continue // just deleted
			}
			rec, err := s.unpack([]byte(id), value)
			if err != nil {
				unreadable = append(unreadable, err)
			} else if rec.Fingerprint == fingerprint {
				found = append(found, rec)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, storage.MostRecentFirst)
	return found, errors.Join(unreadable...)
}

// Put implements [storage.Store].
func (s *Store) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	if err := ctx.Err(); err != nil {
		return storage.Record{}, err
	}
	next := rec
	next.Revision++
	record, err := storage.Encode(next)
	if err != nil {
		return storage.Record{}, err
	}
	id, key := []byte(next.ID), keyOf(next.Fingerprint)
	value := pack(next.ID, header{next.Revision, key}, record)

	err = s.changes.do(ctx, func(b *bbolt.Bucket) (func(), error) {
		old := b.Get(id)
		stored := header{key: key}
		if old != nil {
			var err error
			if stored, err = unpackHeader(id, old); err != nil {
				return nil, s.recordError(id, err)
			}
		}
		if stored.revision != rec.Revision {
			return nil, s.recordError(id, storage.ErrConflict)
		}
		if stored.key != key {
			return nil, s.recordError(id, fmt.Errorf("%w: fingerprint differs from the stored record", storage.ErrInvalidRecord))
		}
		s.index.keepLease(next.ID, next.Revision) // before the record can be read
		if err := b.Put(id, value); err != nil {
			return nil, s.recordError(id, err)
		}
		return func() {
			s.index.keepLease(next.ID, next.Revision) // it may have been deleted in the same transaction
			if old == nil {
				s.index.add(key, next.ID)
			}
		}, nil
	})
	if err != nil {
		return storage.Record{}, err
	}
	return next.Clone(), nil
}

// Delete implements [storage.Store]. The ID of a corrupt record is that in the
// [*storage.Error] about it.
func (s *Store) Delete(ctx context.Context, id string, revision int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	id = unquoteID(id)
	if id == "" {
		return nil
	}
	return s.changes.do(ctx, func(b *bbolt.Bucket) (func(), error) {
		value := b.Get([]byte(id))
		if value == nil {
			return nil, nil
		}
		if err := atRevision([]byte(id), value, revision); err != nil {
			return nil, s.recordError([]byte(id), err)
		}
		k := indexKey([]byte(id), value)
		if err := b.Delete([]byte(id)); err != nil {
			return nil, s.recordError([]byte(id), err)
		}
		return func() { s.index.remove(k, id) }, nil
	})
}

// atRevision returns an error if a value is not at the revision. A record that cannot
// be read is at revision 0.
func atRevision(id, value []byte, revision int64) error {
	rec, err := unpack(id, value)
	switch {
	case err != nil && revision == 0:
		return nil
	case err == nil && rec.Revision != revision:
		return storage.ErrConflict
	}
	return err
}

// pageOfAll is how many records All reads in one transaction. The loop body runs
// outside the transaction, so it can change the store.
const pageOfAll = 100

// All implements [storage.Store].
func (s *Store) All(ctx context.Context) iter.Seq2[storage.Record, error] {
	type result struct {
		rec storage.Record
		err error
	}
	return func(yield func(storage.Record, error) bool) {
		var next []byte // the first ID not read yet
		for more := true; more; {
			var page []result
			err := s.view(ctx, func(b *bbolt.Bucket) {
				c := b.Cursor()
				id, value := c.Seek(next)
				for ; id != nil && len(page) < pageOfAll; id, value = c.Next() {
					rec, err := s.unpack(id, value)
					page = append(page, result{rec, err})
				}
				next, more = slices.Clone(id), id != nil
			})
			if err != nil {
				yield(storage.Record{}, err)
				return
			}
			for _, r := range page {
				if err := ctx.Err(); err != nil {
					yield(storage.Record{}, err)
					return
				}
				if !yield(r.rec, r.err) {
					return
				}
			}
		}
	}
}

// view calls read in a read-only transaction, unless ctx is done.
func (s *Store) view(ctx context.Context, read func(*bbolt.Bucket)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			read(tx.Bucket([]byte(recordsBucket)))
			return nil
		})
	})
}

// commit applies the changes in one transaction, which is not written if nothing
// changed.
func (s *Store) commit(batch []*change) {
	err := s.guard(func() error {
		tx, err := s.db.Begin(true)
		if err != nil {
			return err
		}
		defer tx.Rollback() // does nothing after Commit
		b := tx.Bucket([]byte(recordsBucket))
		changed := false
		for _, c := range batch {
			c.committed, c.err = c.apply(b)
			changed = changed || c.committed != nil
		}
		if !changed {
			return nil
		}
		return tx.Commit()
	})
	if err != nil {
		// After a failed write, bbolt may hold the old or the new state.
		s.guard(func() error { return s.db.View(s.read) })
	}
	for _, c := range batch {
		switch {
		case c.err != nil:
		case err != nil:
			c.err = err
		case c.committed != nil:
			c.committed()
		}
	}
}

func (s *Store) unpack(id, value []byte) (storage.Record, error) {
	rec, err := unpack(id, value)
	if err != nil {
		return storage.Record{}, s.recordError(id, err)
	}
	return s.index.current(rec), nil
}

// recordError returns an error about one record.
func (s *Store) recordError(id []byte, err error) error {
	return &storage.Error{Path: s.path, ID: quoteID(id), Err: err}
}

// quoteID quotes an ID from a file, which may be any bytes. A valid ID is unchanged.
func quoteID(id []byte) string {
	q := strconv.Quote(string(id[:min(len(id), 64)]))
	return q[1 : len(q)-1]
}

// unquoteID is the reverse of quoteID.
func unquoteID(id string) string {
	if raw, err := strconv.Unquote(`"` + id + `"`); err == nil {
		return raw
	}
	return id
}
