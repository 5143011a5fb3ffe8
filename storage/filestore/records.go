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
	"github.com/seed-175555ba/tus-go/storage/internal/disk"
)

// Find implements [storage.Store].
func (s *Store) Find(ctx context.Context, fingerprint string) ([]storage.Record, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	wanted := locationOf(fingerprint, "")
	locations, err := s.locations(wanted.shard())
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
	next := rec
	next.Revision++
	data, err := storage.Encode(next)
	if err != nil {
		return storage.Record{}, err
	}
	p := locationOf(rec.Fingerprint, rec.ID)
	if err := s.put(ctx, p, rec.Revision, data); err != nil {
		return storage.Record{}, err
	}
	return next.Clone(), nil
}

// put stores the data if the stored revision is the given one.
func (s *Store) put(ctx context.Context, p location, revision int64, data []byte) error {
	// Check for a conflict before writing a file. replace checks again.
	if err := s.checkRevision(ctx, p, revision); err != nil {
		return err
	}
	if err := makeDirs(s.tempDir(), s.hintDir(), s.shardDir(p)); err != nil {
		return err
	}
	temp, err := s.writeTemp(data)
	if err != nil {
		return err
	}
	defer os.Remove(temp) // if it was not renamed
	if err := s.replace(ctx, p, revision, temp); err != nil {
		return err
	}
	return s.sync(p)
}

// replace renames the temporary file to that of the record, under the lock.
func (s *Store) replace(ctx context.Context, p location, revision int64, temp string) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.checkRevision(ctx, p, revision); err != nil {
		return err
	}
	if revision == 0 {
		if _, exists := s.hinted(ctx, p.id); exists { // with another fingerprint
			return s.conflict(p)
		}
	}
	if err := retry(ctx, func() error { return os.Rename(temp, s.path(p)) }); err != nil {
		return disk.ErrorAt(s.path(p), err)
	}
	if revision == 0 {
		s.hint(p)
	}
	return nil
}

// checkRevision returns an error if the stored revision is not the given one. It is 0
// if there is no record.
func (s *Store) checkRevision(ctx context.Context, p location, revision int64) error {
	rec, err := s.read(ctx, p)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if rec.Revision != revision {
		return s.conflict(p)
	}
	return nil
}

func (s *Store) conflict(p location) error {
	return &storage.Error{Path: s.path(p), ID: p.id, Err: storage.ErrConflict}
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
	return s.sync(p)
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
		return location{}, s.conflict(p)
	}
	err = retry(ctx, func() error { return os.Remove(s.path(p)) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return location{}, disk.ErrorAt(s.path(p), err)
	}
	os.Remove(s.hintPath(id))
	return p, nil
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
			locations, err := s.locations(shardName(i))
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
