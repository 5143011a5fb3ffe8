package tus

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

const (
	// rateSlice is the time for which Burst grants bytes at once.
	rateSlice = 100 * time.Millisecond
	// maxRateSlice is the maximum of Burst in bytes.
	maxRateSlice = 4 << 20
)

// Limiter limits the rate at which bytes are sent. [RateLimit] and *rate.Limiter of
// golang.org/x/time/rate implement it.
type Limiter interface {
	// WaitN blocks until n bytes may be sent, or ctx ends.
	WaitN(ctx context.Context, n int) error
	// Burst is the largest n that WaitN accepts now, at least 1.
	Burst() int
}

// RateLimit is a [Limiter] whose rate can be changed while uploads run. Clients and uploads
// that use the same RateLimit share its rate. The zero value does not limit. All methods are
// safe for concurrent use.
type RateLimit struct {
	mu      sync.Mutex
	rate    int64         // bytes per second; 0 for no limit
	free    time.Time     // when all bytes that were granted are paid for
	changed chan struct{} // closed by Set; nil if nothing waits
}

// NewRateLimit returns a limit of bytesPerSecond; 0 or less means no limit.
func NewRateLimit(bytesPerSecond int64) *RateLimit {
	return &RateLimit{rate: max(0, bytesPerSecond)}
}

// Set changes the limit to bytesPerSecond; 0 or less means no limit. It takes effect at
// once, also for blocked calls of WaitN.
func (l *RateLimit) Set(bytesPerSecond int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, old := time.Now(), l.rate
	l.rate = max(0, bytesPerSecond)
	if debt := l.free.Sub(now); l.rate > old && debt > 0 { // what was granted costs less time now
		l.free = now.Add(time.Duration(float64(debt) * float64(old) / float64(l.rate)))
	}
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// Burst returns the number of bytes to pass to WaitN at once: a tenth of a second's worth,
// at most 4 MiB.
func (l *RateLimit) Burst() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == 0 {
		return math.MaxInt32
	}
	return int(min(max(1, l.rate/int64(time.Second/rateSlice)), maxRateSlice))
}

// WaitN blocks until n bytes may be sent; it returns the error of ctx if ctx ends before.
// n may be above Burst.
func (l *RateLimit) WaitN(ctx context.Context, n int) error {
	for ctx.Err() == nil {
		wait, changed := l.take(n)
		if wait <= 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return async.ContextError(ctx)
}

// take grants n bytes, or returns how long to wait before the next attempt.
func (l *RateLimit) take(n int) (wait time.Duration, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == 0 {
		return 0, nil
	}
	now := time.Now()
	if wait = l.free.Sub(now); wait > 0 {
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		return wait, l.changed
	}
	// The delay of a late timer is compensated; to save more time would permit a burst.
	if earliest := now.Add(-rateSlice); l.free.Before(earliest) {
		l.free = earliest
	}
	cost := float64(n) / float64(l.rate) * float64(time.Second)
	l.free = l.free.Add(time.Duration(min(cost, math.MaxInt64/2)))
	return 0, nil
}
