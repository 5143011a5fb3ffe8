package main

import (
	"errors"
	"sync"
	"time"
)

// Errors of begin.
var (
	errHandled      = errors.New("the call was already handled")
	errBeingHandled = errors.New("the call is being handled")
	errFull         = errors.New("too many recent calls")
)

// seen records calls until they are stale, so that a replayed call is not handled.
// It is kept in memory. If a call must not be handled twice across a restart either,
// store its ID in the database, in the transaction that handles it.
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

// begin returns nil if a call is new. The caller must then call end.
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
		return errFull // a forgotten call could be replayed
	}
	s.calls[id] = &remembered{expires: expires}
	return nil
}

// end records whether a call was handled. A failed call can be retried.
func (s *seen) end(id mac, handled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !handled {
		delete(s.calls, id)
		return
	}
	s.calls[id].handled = true
}

// forgetStale removes stale calls. The caller holds s.mu.
func (s *seen) forgetStale(now time.Time) {
	for id, c := range s.calls {
		if c.handled && now.After(c.expires) {
			delete(s.calls, id)
		}
	}
}
