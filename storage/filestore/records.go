package filestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// Find is [storage.Store.Find].
func (s *Store) Find(ctx context.Context, fingerprint string) ([]storage.Record, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	wanted := placeOf(fingerprint, "")
	names, err := s.names(wanted.shard)
	if err != nil {
		return nil, err
	}
	var found []storage.Record
	var failures []error
	for _, name := range names {
		if !strings.HasPrefix(name, wanted.hash) {
			continue
		}
		p, ok := parseName(wanted.shard, name)
		if !ok {
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

// Put is [storage.Store.Put].
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

// put stores the data if rec is the record that is stored now.
func (s *Store) put(ctx context.Context, rec storage.Record, data []byte) error {
	p := placeOf(rec.Fingerprint, rec.ID)
	// What is certain to be refused need not be written first.
	if stored, err := s.revision(ctx, p); err != nil || stored != rec.Revision {
		return s.refusal(p, rec, err)
	}
	if err := s.makeFolders(p); err != nil {
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
	return s.sync(s.folder(p))
}

// replace renames the file to the record's place, under the lock.
func (s *Store) replace(ctx context.Context, p place, rec storage.Record, temp string) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	stored, err := s.revision(ctx, p)
	if err != nil || stored != rec.Revision {
		return s.refusal(p, rec, err)
	}
	if stored > 0 {
		return s.rename(ctx, temp, p)
	}
	// The ID must not be that of a record with another fingerprint either.
	if _, exists := s.hinted(ctx, rec.ID); exists {
		return s.refusal(p, rec, nil)
	}
	if err := s.rename(ctx, temp, p); err != nil {
		return err
	}
	s.hint(p)
	return nil
}

// revision is that of the record at a place, 0 if there is none.
func (s *Store) revision(ctx context.Context, p place) (int64, error) {
	rec, err := s.read(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return rec.Revision, err
}

// refusal is why a record cannot be put: err, or that it is not the stored one.
func (s *Store) refusal(p place, rec storage.Record, err error) error {
	if err != nil {
		return err
	}
	return &storage.Error{Path: s.path(p), ID: rec.ID, Err: storage.ErrConflict}
}

// Delete is [storage.Store.Delete]. It deletes damaged records too.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	p, err := s.delete(ctx, id)
	if err != nil || p == (place{}) {
		return err
	}
	return s.sync(s.folder(p))
}

// delete returns where the record was, the zero place if there was none.
func (s *Store) delete(ctx context.Context, id string) (place, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return place{}, err
	}
	defer unlock()
	p, found, err := s.locate(ctx, id)
	if err != nil || !found {
		return place{}, err
	}
	return p, s.remove(ctx, p)
}

// All is [storage.Store.All].
func (s *Store) All(ctx context.Context) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		for p, err := range s.allPlaces(ctx) {
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

// allPlaces yields where there are records. After an error it ends.
func (s *Store) allPlaces(ctx context.Context) iter.Seq2[place, error] {
	return func(yield func(place, error) bool) {
		for i := range shards {
			shard := shardOf(byte(i))
			names, err := s.names(shard)
			if err = cmp.Or(s.ready(ctx), err); err != nil {
				yield(place{}, err)
				return
			}
			for _, name := range names {
				p, ok := parseName(shard, name)
				if ok && !yield(p, s.ready(ctx)) {
					return
				}
			}
		}
	}
}

// DeleteExpired is [storage.Expirer.DeleteExpired].
func (s *Store) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	deleted := 0
	var folders []string // in which there were some
	for p, err := range s.allPlaces(ctx) {
		if err != nil {
			return deleted, err
		}
		rec, err := s.read(ctx, p)
		if err != nil || !rec.Expired(now) {
			continue
		}
		done, err := s.deleteIfExpired(ctx, p, now)
		if err != nil {
			return deleted, fmt.Errorf("deleting expired records: %w", err)
		}
		if !done {
			continue
		}
		deleted++
		if dir := s.folder(p); !slices.Contains(folders, dir) {
			folders = append(folders, dir)
		}
	}
	for _, dir := range folders {
		if err := s.sync(dir); err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// deleteIfExpired looks again, as the record may have been changed since it was
// read.
func (s *Store) deleteIfExpired(ctx context.Context, p place, now time.Time) (bool, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	rec, err := s.read(ctx, p)
	if err != nil || !rec.Expired(now) {
		return false, nil
	}
	return true, s.remove(ctx, p)
}
