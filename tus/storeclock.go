package tus

import (
	"context"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// clockAge is how long a reading of the clock of a store is used.
const clockAge = time.Minute

// storeClock is the clock of the leases of a store: that of the store if it is a
// [storage.Clock], and otherwise that of the system.
type storeClock struct {
	clock storage.Clock // nil for that of the system

	mu            sync.Mutex
	before, after time.Time // of the system, around the last reading; zero means none
	read          time.Time // of the store
}

func newStoreClock(s storage.Store) *storeClock {
	clock, _ := s.(storage.Clock)
	return &storeClock{clock: clock}
}

// isShared reports whether all that share the store have the same clock.
func (c *storeClock) isShared() bool { return c.clock != nil }

// refresh reads the clock, unless that was done a short time ago. If the store fails, the
// last reading is used, unless the system has slept since.
func (c *storeClock) refresh(ctx context.Context) error {
	if !c.isShared() {
		return nil
	}
	c.mu.Lock()
	last := c.after
	c.mu.Unlock()
	now := time.Now()
	slept := drift(last, now) > maxDrift
	if !last.IsZero() && !slept && now.Sub(last) < clockAge {
		return nil
	}
	before := time.Now()
	read, err := async.Call(ctx, func() (time.Time, error) { return c.clock.Now(ctx) }, nil)
	after := time.Now()
	if err != nil {
		if last.IsZero() || slept {
			return err
		}
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before, c.after, c.read = before, after, read
	return nil
}

// earliest returns a time that the clock has reached, by which leases of others are judged.
func (c *storeClock) earliest() time.Time {
	now := time.Now()
	if !c.isShared() {
		return now
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read.Add(now.Sub(c.after))
}

// latest returns a time that the clock has not passed, from which own leases are counted.
func (c *storeClock) latest() time.Time {
	now := time.Now()
	if !c.isShared() {
		return now
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read.Add(now.Sub(c.before))
}

// drift returns how far the clocks of the system moved apart between two readings: it was set,
// or the system slept.
func drift(from, to time.Time) time.Duration {
	return (to.Round(0).Sub(from.Round(0)) - to.Sub(from)).Abs()
}
