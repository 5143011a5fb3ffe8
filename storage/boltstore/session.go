package boltstore

import (
	"sync"

	"github.com/seed-175555ba/tus-go/storage"
)

// session knows which records were put since Open. The file is open in one process
// at a time, so whoever held the lease of another record is gone: such a record is
// returned without it. The file itself is not changed.
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

// current returns the record as it is in this session.
func (s *session) current(rec storage.Record) storage.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, put := s.ids[rec.ID]; !put {
		rec.Lease = nil
	}
	return rec
}
