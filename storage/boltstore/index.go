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

	// put has the records that were put since Open. Only one process has the file open,
	// so the holder of the lease of any other record has ended: such a record is
	// returned without its lease. The file is not changed.
	put map[string]struct{}
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

// keepLease notes that a record is put in this session.
func (x *index) keepLease(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.put[id] = struct{}{}
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

// current returns rec, without its lease if rec was not put in this session.
func (x *index) current(rec storage.Record) storage.Record {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if _, put := x.put[rec.ID]; !put {
		rec.Lease = nil
	}
	return rec
}
