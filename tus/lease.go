package tus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

const (
	// maxLease is the default of Options.Lease, and its maximum: an Uploader does not know
	// the option of another one.
	maxLease = time.Minute
	// minLease is the minimum of Options.Lease, within which a renewal that failed is
	// repeated.
	minLease = 5 * time.Second
	// renewalPause is the time between attempts to renew a lease.
	renewalPause = time.Second
	// noteDelay is the time from the start of a request until the record is put because of
	// it, so that fast uploads put none. It is soonDelay for an upload that was interrupted
	// before.
	noteDelay = 100 * time.Millisecond
	soonDelay = 10 * time.Millisecond
	// maxDrift is how far the clocks of the system may move apart before the lease is
	// renewed.
	maxDrift = time.Second
)

// leaseRuns reports whether an Uploader may hold a record. The lease of a process that is
// known to be dead ends at once, so that a program that was killed can be restarted without
// a wait. One that is too long ends as well: a clock was set back.
func leaseRuns(l *storage.Lease, now time.Time) bool {
	return l != nil && now.Before(l.Until) && l.Until.Sub(now) <= 2*maxLease && livenessOf(l.Process) != livenessDead
}

// deadline returns when the holder stops relying on the lease, before its end. It requires
// r.mu.
func (r *record) deadline() time.Time { return r.sent.Add(r.lease - r.margin()) }

// margin returns how long before the end of its lease the holder stops. Where the store has
// no clock, others compare the end with their own.
func (s *records) margin() time.Duration {
	if s.clock.isShared() {
		return max(s.lease/30, time.Second)
	}
	return s.lease / 6
}

// renewal returns the age at which the lease is renewed. Those who share a store with a clock
// may lose it for four fifths of a lease.
func (s *records) renewal() time.Duration {
	if s.clock.isShared() {
		return s.lease / 8
	}
	return s.lease / 3
}

// leasedAt reports whether the lease can be relied on. It requires r.mu.
func (r *record) leasedAt(now time.Time) bool {
	return r.rec.Lease != nil && !r.sent.IsZero() && now.Before(r.deadline())
}

// due reports whether it is time to renew the lease. It requires r.mu.
func (r *record) due(now time.Time) bool {
	switch {
	case r.rec.ID == "" || r.rec.Lease == nil:
		return false
	case r.sent.IsZero(): // no Put of the lease succeeded; a reservation is no longer needed
		return named(r.rec) && now.Sub(r.tried) >= r.renewal()/2
	case r.failed:
		return now.Sub(r.tried) >= renewalPause
	case r.unnoted():
		return true
	}
	// The system may have slept, or its clock been set, and others compare with the clock.
	return now.Sub(r.sent) >= r.renewal() || drift(r.sent, now) > maxDrift
}

// unnoted reports whether a request is in flight that the stored record does not have. It
// requires r.mu.
func (r *record) unnoted() bool {
	p := r.newProgress()
	return p != nil && p.InFlight > 0 && (r.rec.Progress == nil || *p != *r.rec.Progress)
}

// confirm renews the lease although that is not due: the server reports another request, so
// another Uploader may have the lease. It retries until the lease is over, and then returns
// an error.
func (r *record) confirm(ctx context.Context) error {
	if !r.is(func(e *entry) bool { return e.rec.Lease != nil && !e.sent.IsZero() }) {
		return nil
	}
	for {
		over, err := r.tryRenewal(ctx)
		var failure *renewalError
		switch {
		case !errors.As(err, &failure):
			return err
		case over && !r.required:
			reason := fmt.Errorf("tus: %w: the server reports another request, and the lease cannot be renewed: %w", ErrLeaseLost, failure.err)
			r.mu.Lock()
			r.entry, r.lost = entry{}, reason
			r.mu.Unlock()
			return reason
		case over:
			return err
		}
		if err := async.Sleep(ctx, renewalPause); err != nil {
			return err
		}
	}
}

// recheck renews a lease that is over. If the store is not required, the upload continues
// without a lease until a conflict is known.
func (r *record) recheck(ctx context.Context) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	lost, held := r.lost, r.rec.Lease != nil && !r.sent.IsZero()
	over := held && r.required && !r.leasedAt(time.Now())
	r.mu.Unlock()
	if lost != nil || !over {
		return lost
	}
	_, err := r.tryRenewal(ctx)
	return err
}

// renewalError is returned when a renewal failed without a conflict.
type renewalError struct{ err error }

func (e *renewalError) Error() string   { return fmt.Sprintf("tus: %v: put: %v", ErrStore, e.err) }
func (e *renewalError) Unwrap() []error { return []error{ErrStore, e.err} }

// tryRenewal renews the lease once. It reports the first of several failures in a row, which
// are a *renewalError. over reports whether the lease is over.
func (r *record) tryRenewal(ctx context.Context) (over bool, err error) {
	r.mu.Lock()
	leased, left := !r.sent.IsZero(), time.Until(r.deadline())
	r.mu.Unlock()
	// A process that was suspended has a moment to detect that its lease was acquired.
	ctx, cancel := context.WithTimeoutCause(ctx, min(max(left, renewalPause), r.renewal()), errStoreTimeout)
	defer cancel()
	err = r.exclusively(ctx, r.put)
	switch {
	case err == nil, errors.Is(err, ErrLeaseLost):
		return false, err
	case ended(ctx):
		return false, async.ContextError(ctx)
	}
	r.mu.Lock()
	over = leased && !time.Now().Before(r.deadline())
	first := !r.reported
	r.reported = true
	r.mu.Unlock()
	failure := &renewalError{err}
	if first {
		r.onFailure(failure)
	}
	return over, failure
}
