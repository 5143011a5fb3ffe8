package boltstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
)

// Find is [storage.Store.Find].
func (s *Store) Find(ctx context.Context, fingerprint string) ([]storage.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ids := s.index.find(keyOf(fingerprint))
	var found []storage.Record
	var damage []error
	err := s.view(func(b *bbolt.Bucket) {
		for _, id := range ids {
			value := b.Get([]byte(id))
			if value == nil {
				continue // just deleted
			}
			rec, err := s.unpack([]byte(id), value)
			if err != nil {
				damage = append(damage, err)
			} else if rec.Fingerprint == fingerprint {
				found = append(found, rec)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, storage.MostRecentFirst)
	return found, errors.Join(damage...)
}

// Put is [storage.Store.Put].
func (s *Store) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	if err := ctx.Err(); err != nil {
		return storage.Record{}, err
	}
	if err := rec.Validate(); err != nil {
		return storage.Record{}, err
	}
	next := rec.Clone()
	next.Revision++
	record, err := storage.Encode(next)
	if err != nil {
		return storage.Record{}, err
	}
	id, key := []byte(next.ID), keyOf(next.Fingerprint)
	value := pack(next.ID, header{next.Revision, key}, record)

	err = s.changes.do(ctx, func(b *bbolt.Bucket) (func(), error) {
		var stored header
		exists := b.Get(id)
		if exists != nil {
			if stored, err = unpackHeader(id, exists); err != nil {
				return nil, s.about(id, err)
			}
		}
		if stored.revision != rec.Revision {
			return nil, s.about(id, storage.ErrConflict)
		}
		if exists != nil && stored.key != key {
			return nil, s.about(id, fmt.Errorf("%w: its fingerprint has changed", storage.ErrInvalidRecord))
		}
		s.session.add(next.ID) // before others can read it
		if err := b.Put(id, value); err != nil {
			return nil, s.about(id, err)
		}
		return func() {
			s.session.add(next.ID) // it may have been deleted in the same transaction
			if exists == nil {
				s.index.add(key, next.ID)
			}
		}, nil
	})
	if err != nil {
		return storage.Record{}, err
	}
	return next, nil
}

// Delete is [storage.Store.Delete]. It deletes damaged records too, by the ID that
// the error about them has.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	id = unprintable(id)
	if id == "" {
		return nil
	}
	return s.changes.do(ctx, func(b *bbolt.Bucket) (func(), error) {
		return s.remove(b, []byte(id))
	})
}

// remove returns what is to be done after the commit, nil if there is no such
// record.
func (s *Store) remove(b *bbolt.Bucket, id []byte) (func(), error) {
	value := b.Get(id)
	if value == nil {
		return nil, nil
	}
	k := indexKey(id, value)
	if err := b.Delete(id); err != nil {
		return nil, s.about(id, err)
	}
	return func() {
		s.index.remove(k, string(id))
		s.session.remove(string(id))
	}, nil
}

// pageOfAll is how many records All reads at a time. In between it holds no
// transaction, which would keep the loop from changing the store.
const pageOfAll = 100

// All is [storage.Store.All].
func (s *Store) All(ctx context.Context) iter.Seq2[storage.Record, error] {
	type result struct {
		rec storage.Record
		err error
	}
	return func(yield func(storage.Record, error) bool) {
		var next []byte // the first ID that was not read yet
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				yield(storage.Record{}, err)
				return
			}
			var page []result
			err := s.view(func(b *bbolt.Bucket) {
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

// DeleteExpired is [storage.Expirer.DeleteExpired]. All records are deleted in one
// transaction.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	var candidates []string
	for rec, err := range s.All(ctx) {
		var unreadable *storage.Error
		switch {
		case errors.As(err, &unreadable) && unreadable.ID != "":
		case err != nil:
			return 0, err
		case rec.Expired(now):
			candidates = append(candidates, rec.ID)
		}
	}
	if len(candidates) == 0 {
		return 0, nil
	}
	deleted := 0
	err := s.changes.do(ctx, func(b *bbolt.Bucket) (func(), error) {
		var after []func()
		for _, id := range candidates {
			// It may have been changed since it was read.
			rec, err := s.unpack([]byte(id), b.Get([]byte(id)))
			if err != nil || !rec.Expired(now) {
				continue
			}
			if f, err := s.remove(b, []byte(id)); err == nil {
				after = append(after, f)
			}
		}
		if len(after) == 0 {
			return nil, nil
		}
		return func() {
			deleted = len(after)
			for _, f := range after {
				f()
			}
		}, nil
	})
	return deleted, err
}

// view reads in a transaction.
func (s *Store) view(read func(*bbolt.Bucket)) error {
	return s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			read(tx.Bucket([]byte(recordsBucket)))
			return nil
		})
	})
}

// commit applies changes in one transaction, for the group.
func (s *Store) commit(batch []*change) {
	errUnchanged := errors.New("nothing to write")
	err := s.guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(recordsBucket))
			unchanged := true
			for _, c := range batch {
				c.committed, c.err = c.apply(b)
				unchanged = unchanged && c.committed == nil
			}
			if unchanged {
				return errUnchanged
			}
			return nil
		})
	})
	if errors.Is(err, errUnchanged) {
		return
	}
	if err != nil {
		// When the disk fails it is not certain which state bbolt goes on with.
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
		return storage.Record{}, s.about(id, err)
	}
	return s.session.current(rec), nil
}

// about makes an error about one record.
func (s *Store) about(id []byte, err error) error {
	return &storage.Error{Path: s.path, ID: printable(id), Err: err}
}

// printable shows an ID that was read from a file, and may be anything. A proper ID
// stays as it is.
func printable(id []byte) string {
	q := strconv.Quote(string(id[:min(len(id), 64)]))
	return q[1 : len(q)-1]
}

// unprintable is the reverse of printable.
func unprintable(id string) string {
	if raw, err := strconv.Unquote(`"` + id + `"`); err == nil {
		return raw
	}
	return id
}
