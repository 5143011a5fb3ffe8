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
	var found []storage.Record
	var unreadable []error
	err := s.view(ctx, func(b *bbolt.Bucket) {
		for _, id := range s.find(b, keyOf(fingerprint)) {
			value := b.Get(id)
			if value == nil {
				continue // a corrupt record that was deleted
			}
			rec, err := s.unpack(id, value)
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

	err = s.change(ctx, func(b *bbolt.Bucket) (func(), error) {
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
		s.leases.keep(next.ID, next.Revision) // before the record can be read
		if err := b.Put(id, value); err != nil {
			return nil, s.recordError(id, err)
		}
		if old == nil {
			if err := indexOf(b).Put(indexEntry(key, id), nil); err != nil {
				return nil, s.recordError(id, err)
			}
		}
		// The record may have been deleted in the same transaction.
		return func() { s.leases.keep(next.ID, next.Revision) }, nil
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
	return s.change(ctx, func(b *bbolt.Bucket) (func(), error) {
		value := b.Get([]byte(id))
		if value == nil {
			return nil, nil
		}
		if err := atRevision([]byte(id), value, revision); err != nil {
			return nil, s.recordError([]byte(id), err)
		}
		entry := indexEntry(indexKey([]byte(id), value), []byte(id))
		if err := b.Delete([]byte(id)); err != nil {
			return nil, s.recordError([]byte(id), err)
		}
		if err := indexOf(b).Delete(entry); err != nil {
			return nil, s.recordError([]byte(id), err)
		}
		return func() { s.leases.forget(id) }, nil
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
	if s.opts.Shared {
		return s.changes.do(ctx, &change{reads: true, apply: func(b *bbolt.Bucket) (func(), error) {
			read(b)
			return nil, nil
		}})
	}
	return s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			read(tx.Bucket([]byte(recordsBucket)))
			return nil
		})
	})
}

// change calls apply in a transaction; see [change].
func (s *Store) change(ctx context.Context, apply func(*bbolt.Bucket) (func(), error)) error {
	return s.changes.do(ctx, &change{apply: apply})
}

// commit applies the changes in one transaction, which is not written if nothing
// changed.
func (s *Store) commit(batch []*change) {
	err := s.guard(func() error {
		tx, err := s.db.Begin(s.readOnly == nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() // does nothing after Commit
		b := tx.Bucket([]byte(recordsBucket))
		// Reads do not wait for the disk, and do not see what may fail.
		for _, c := range batch {
			if c.reads {
				c.apply(b)
				c.finish(nil)
			}
		}
		changed := false
		for _, c := range batch {
			switch {
			case c.finished:
			case s.readOnly != nil:
				c.err = s.failure(s.readOnly)
			default:
				c.committed, c.err = c.apply(b)
				changed = changed || c.committed != nil
			}
		}
		if !changed {
			return nil
		}
		return tx.Commit()
	})
	s.end(err == nil)
	for _, c := range batch {
		switch {
		case c.finished || c.err != nil:
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
	return s.leases.current(rec), nil
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
