package boltstore

import (
	"slices"
	"sync"
)

// index maps fingerprints to the IDs of their records.
type index struct {
	mu  sync.RWMutex
	ids map[key][]string
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
	if x.ids == nil {
		x.ids = map[key][]string{}
	}
	x.ids[k] = append(x.ids[k], id)
}

func (x *index) remove(k key, id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	ids := slices.DeleteFunc(x.ids[k], func(other string) bool { return other == id })
	if len(ids) == 0 {
		delete(x.ids, k)
		return
	}
	x.ids[k] = ids
}
