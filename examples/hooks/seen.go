package main

import (
	"errors"
	"sync"
	"time"
)

// What is known of a call that came before, or why nothing more can be known.
var (
	errHandled      = errors.New("the call was handled before")
	errBeingHandled = errors.New("the call is being handled")
	errFull         = errors.New("too many calls to remember")
)

// seen remembers calls until they are stale, so that a copy of one does nothing. It
// lives as long as the process. Where a call must not be handled twice over a
// restart either, its ID belongs into the database, in the transaction that handles
// it.
type seen struct {
	limit int

	mu    sync.Mutex
	calls map[mac]*remembered
}

type remembered struct {
	expires time.Time
	handled bool // otherwise it is being handled
}

func newSeen(limit int) *seen {
	return &seen{limit: limit, calls: map[mac]*remembered{}}
}

// begin returns nil if a call is new, and must then be ended.
func (s *seen) begin(id mac, expires, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.calls[id]; c != nil {
		if c.handled {
			return errHandled
		}
		return errBeingHandled
	}
	if len(s.calls) >= s.limit {
		s.forgetStale(now)
	}
	if len(s.calls) >= s.limit {
		return errFull // to forget one would let it in again
	}
	s.calls[id] = &remembered{expires: expires}
	return nil
}

// end notes what became of a call. One that failed may come again.
func (s *seen) end(id mac, handled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !handled {
		delete(s.calls, id)
		return
	}
	s.calls[id].handled = true
}

// forgetStale makes room. It is called with mu held.
func (s *seen) forgetStale(now time.Time) {
	for id, c := range s.calls {
		if c.handled && now.After(c.expires) {
			delete(s.calls, id)
		}
	}
}
