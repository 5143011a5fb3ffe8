package storage

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
)

// Memory is a [Store] in memory. The zero value is an empty store. A Memory must not
// be copied after first use.
type Memory struct {
	mu      sync.RWMutex
	records map[string]Record
	index   map[string][]string // fingerprint to IDs
}

var _ Store = (*Memory)(nil)

// Find implements [Store].
func (m *Memory) Find(ctx context.Context, fingerprint string) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []Record
	for _, id := range m.index[fingerprint] {
		found = append(found, m.records[id].Clone())
	}
	slices.SortFunc(found, MostRecentFirst)
	return found, nil
}

// Put implements [Store].
func (m *Memory) Put(ctx context.Context, rec Record) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	if err := rec.Validate(); err != nil {
		return Record{}, err
	}
	next := rec.Clone()
	next.Revision++

	m.mu.Lock()
	defer m.mu.Unlock()
	stored, exists := m.records[rec.ID]
	if stored.Revision != rec.Revision {
		return Record{}, &Error{ID: rec.ID, Err: ErrConflict}
	}
	if exists && stored.Fingerprint != rec.Fingerprint {
		return Record{}, &Error{ID: rec.ID, Err: invalid("fingerprint differs from the stored record")}
	}
	if m.records == nil {
		m.records, m.index = map[string]Record{}, map[string][]string{}
	}
	if !exists {
		m.index[next.Fingerprint] = append(m.index[next.Fingerprint], next.ID)
	}
	m.records[next.ID] = next
	return next.Clone(), nil
}

// Delete implements [Store].
func (m *Memory) Delete(ctx context.Context, id string, revision int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, ok := m.records[id]
	if !ok {
		return nil
	}
	if rec.Revision != revision {
		return &Error{ID: id, Err: ErrConflict}
	}
	delete(m.records, id)
	ids := slices.DeleteFunc(m.index[rec.Fingerprint], func(other string) bool { return other == id })
	if m.index[rec.Fingerprint] = ids; len(ids) == 0 {
		delete(m.index, rec.Fingerprint)
	}
	return nil
}

// All implements [Store].
func (m *Memory) All(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		m.mu.RLock()
		ids := slices.Collect(maps.Keys(m.records))
		m.mu.RUnlock()
		for _, id := range ids {
			if ctx.Err() != nil {
				break
			}
			m.mu.RLock()
			rec, ok := m.records[id]
			rec = rec.Clone()
			m.mu.RUnlock()
			if ok && !yield(rec, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(Record{}, err)
		}
	}
}
