package boltstore

import (
	"slices"
	"sync"

	"github.com/seed-175555ba/tus-go/storage"
)

// index has what the store keeps in memory.
type index struct {
	mu  sync.RWMutex
	ids map[key][]string // the records of a fingerprint

	// put has the first revision of each record that was put since Open. Only one process
	// has the file open, so the holder of the lease of any other revision has ended: it
	// is returned without its lease. The file is not changed.
	put map[string]int64
}

func (x *index) find(k key) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(x.ids[k])
}

func (x *index) reset(ids map[key][]string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ids = ids
}

func (x *index) add(k key, id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ids[k] = append(x.ids[k], id)
}

// keepLease notes that a revision is put in this session.
func (x *index) keepLease(id string, revision int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if first, ok := x.put[id]; !ok || revision < first {
		x.put[id] = revision
	}
}

func (x *index) remove(k key, id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.put, id)
	ids := slices.DeleteFunc(x.ids[k], func(other string) bool { return other == id })
	if x.ids[k] = ids; len(ids) == 0 {
		delete(x.ids, k)
	}
}

// current returns rec, without its lease if this revision was not put in this session.
func (x *index) current(rec storage.Record) storage.Record {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if first, ok := x.put[rec.ID]; !ok || rec.Revision < first {
		rec.Lease = nil
	}
	return rec
}
