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
	// leaseTime is how long a lease lasts that is not renewed. It bounds the wait after a
	// crash that cannot be detected, such as on another machine.
	leaseTime = time.Minute
	// leaseMargin is how long before the end of its lease the holder stops, because others
	// compare the end with their own clocks.
	leaseMargin = leaseTime / 6
	// leaseRenewal is the age at which a lease is renewed.
	leaseRenewal = leaseTime / 3
	// renewalPause is the time between attempts to renew a lease.
	renewalPause = time.Second
	// maxDrift is how far the clocks of the system may move apart before the lease is
	// renewed.
	maxDrift = time.Second
)

// leaseRuns reports whether an Uploader may hold a record. The lease of a process that is
// known to be dead ends at once, so that a program that was killed can be restarted without
// a wait. One that is too long ends as well: a clock was set back.
func leaseRuns(l *storage.Lease, now time.Time) bool {
	return l != nil && now.Before(l.Until) && l.Until.Sub(now) <= 2*leaseTime && livenessOf(l.Process) != livenessDead
}

// deadline returns when the holder stops relying on the lease.
func (e *entry) deadline() time.Time { return e.sent.Add(leaseTime - leaseMargin) }

// leasedAt reports whether the lease can be relied on.
func (e *entry) leasedAt(now time.Time) bool {
	return e.rec.Lease != nil && !e.sent.IsZero() && now.Before(e.deadline())
}

// due reports whether it is time to renew the lease.
func (e *entry) due(now time.Time) bool {
	switch {
	case e.rec.ID == "" || e.rec.Lease == nil:
		return false
	case e.sent.IsZero(): // no Put of the lease succeeded; a reservation is no longer needed
		return named(e.rec) && now.Sub(e.tried) >= leaseRenewal/2
	case e.failed:
		return now.Sub(e.tried) >= renewalPause
	}
	// The system may have slept, or its clock been set, and others compare with the clock.
	drift := e.rec.Lease.Until.Sub(now.Round(0)) - (leaseTime - now.Sub(e.sent))
	return now.Sub(e.sent) >= leaseRenewal || drift.Abs() > maxDrift
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
	ctx, cancel := context.WithTimeoutCause(ctx, min(max(left, renewalPause), leaseRenewal), errStoreTimeout)
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
