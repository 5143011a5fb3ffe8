package filestore

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"slices"

	"github.com/seed-175555ba/tus-go/storage"
)

// Find implements [storage.Store].
func (s *Store) Find(ctx context.Context, fingerprint string) ([]storage.Record, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	wanted := locationOf(fingerprint, "")
	locations, err := s.locations(wanted.shard)
	if err != nil {
		return nil, err
	}
	var found []storage.Record
	var failures []error
	for _, p := range locations {
		if p.hash != wanted.hash {
			continue
		}
		rec, err := s.read(ctx, p)
		switch {
		case errors.Is(err, fs.ErrNotExist): // just deleted
		case err != nil:
			failures = append(failures, err)
		case rec.Fingerprint == fingerprint:
			found = append(found, rec)
		}
	}
	slices.SortFunc(found, storage.MostRecentFirst)
	return found, errors.Join(failures...)
}

// Put implements [storage.Store].
func (s *Store) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	if err := s.ready(ctx); err != nil {
		return storage.Record{}, err
	}
	if err := rec.Validate(); err != nil {
		return storage.Record{}, err
	}
	next := rec.Clone()
	next.Revision++
	data, err := storage.Encode(next)
	if err != nil {
		return storage.Record{}, err
	}
	if err := s.put(ctx, rec, data); err != nil {
		return storage.Record{}, err
	}
	return next, nil
}

// put stores the data if the stored revision is that of rec.
func (s *Store) put(ctx context.Context, rec storage.Record, data []byte) error {
	p := locationOf(rec.Fingerprint, rec.ID)
	// Check for a conflict before writing a file. replace checks again.
	if stored, err := s.revision(ctx, p); err != nil || stored != rec.Revision {
		return s.conflict(p, rec, err)
	}
	if err := s.makeDirs(p); err != nil {
		return err
	}
	temp, err := s.writeTemp(data)
	if err != nil {
		return err
	}
	if err := s.replace(ctx, p, rec, temp); err != nil {
		os.Remove(temp)
		return err
	}
	return s.sync(s.shardDir(p))
}

// replace renames the temporary file to that of the record, under the lock.
func (s *Store) replace(ctx context.Context, p location, rec storage.Record, temp string) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	stored, err := s.revision(ctx, p)
	if err != nil || stored != rec.Revision {
		return s.conflict(p, rec, err)
	}
	if stored > 0 {
		return s.rename(ctx, temp, p)
	}
	// The ID must not be in use with another fingerprint.
	if _, exists := s.hinted(ctx, rec.ID); exists {
		return s.conflict(p, rec, nil)
	}
	if err := s.rename(ctx, temp, p); err != nil {
		return err
	}
	s.hint(p)
	return nil
}

// revision returns the stored revision at a location, 0 if there is no record.
func (s *Store) revision(ctx context.Context, p location) (int64, error) {
	rec, err := s.read(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return rec.Revision, err
}

// conflict returns err, or ErrConflict if err is nil.
func (s *Store) conflict(p location, rec storage.Record, err error) error {
	if err != nil {
		return err
	}
	return &storage.Error{Path: s.path(p), ID: rec.ID, Err: storage.ErrConflict}
}

// Delete implements [storage.Store].
func (s *Store) Delete(ctx context.Context, id string, revision int64) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	p, err := s.delete(ctx, id, revision)
	if err != nil || p == (location{}) {
		return err
	}
	return s.sync(s.shardDir(p))
}

// delete returns the location of the deleted record, or the zero value if it does not
// exist.
func (s *Store) delete(ctx context.Context, id string, revision int64) (location, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return location{}, err
	}
	defer unlock()
	p, found, err := s.locate(ctx, id)
	if err != nil || !found {
		return location{}, err
	}
	rec, err := s.read(ctx, p)
	switch {
	case errors.Is(err, fs.ErrNotExist): // deleted by hand
		return location{}, nil
	case err != nil && revision != 0:
		return location{}, err
	case err == nil && rec.Revision != revision:
		return location{}, s.conflict(p, rec, nil)
	}
	return p, s.remove(ctx, p)
}

// All implements [storage.Store].
func (s *Store) All(ctx context.Context) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		for p, err := range s.allLocations(ctx) {
			if err != nil {
				yield(storage.Record{}, err)
				return
			}
			rec, err := s.read(ctx, p)
			if errors.Is(err, fs.ErrNotExist) {
				continue // just deleted
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// allLocations yields the locations of all records. It ends after an error.
func (s *Store) allLocations(ctx context.Context) iter.Seq2[location, error] {
	return func(yield func(location, error) bool) {
		for i := range shards {
			locations, err := s.locations(shardOf(byte(i)))
			if err = cmp.Or(s.ready(ctx), err); err != nil {
				yield(location{}, err)
				return
			}
			for _, p := range locations {
				if !yield(p, s.ready(ctx)) {
					return
				}
			}
		}
	}
}
