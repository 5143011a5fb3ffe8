package boltstore

import (
	"sync"

	"github.com/seed-175555ba/tus-go/storage"
)

// leases decides which records are returned without their lease. While only one process
// has the file open, the holder of a lease that was not put since Open has ended. The
// file is not changed.
type leases struct {
	kept bool // processes share the file, so a holder of any lease may be alive

	mu  sync.RWMutex
	put map[string]int64 // the first revision of each record that was put since Open
}

// keep notes that a revision is put in this session.
func (l *leases) keep(id string, revision int64) {
	if l.kept {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if first, ok := l.put[id]; !ok || revision < first {
		l.put[id] = revision
	}
}

// forget notes that a record was deleted.
func (l *leases) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.put, id)
}

// current returns rec, without its lease if its holder has ended.
func (l *leases) current(rec storage.Record) storage.Record {
	if l.kept {
		return rec
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if first, ok := l.put[rec.ID]; !ok || rec.Revision < first {
		rec.Lease = nil
	}
	return rec
}
