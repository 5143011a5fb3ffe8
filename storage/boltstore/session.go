package boltstore

import (
	"sync"

	"github.com/seed-175555ba/tus-go/storage"
)

// session has the IDs of the records that were put since Open. Only one process has
// the file open, so the holder of the lease of any other record has ended: such a
// record is returned without its lease. The file is not changed.
type session struct {
	mu  sync.Mutex
	ids map[string]struct{}
}

func (s *session) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = map[string]struct{}{}
	}
	s.ids[id] = struct{}{}
}

func (s *session) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, id)
}

// current returns rec, without its lease if rec was not put in this session.
func (s *session) current(rec storage.Record) storage.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, put := s.ids[rec.ID]; !put {
		rec.Lease = nil
	}
	return rec
}
