package tus

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// renewing renews the lease of a record from time to time while the upload is driven. It
// needs no goroutine between two renewals.
type renewing struct {
	ledger *ledger
	ctx    context.Context // canceled at the end
	panics *async.Panics   // keeps those of the store and of hooks
	timer  *time.Timer
	early  atomic.Bool // within was called since the last renewal

	held chan struct{} // has an element during a renewal
}

// keepLease renews the lease while the upload is driven, and interrupts the upload when the
// lease is lost. The returned function stops that and waits until it has stopped. panics
// keeps those of the store and of hooks.
func (l *ledger) keepLease(ctx context.Context, panics *async.Panics) (stop func()) {
	if l.record == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &renewing{ledger: l, ctx: ctx, panics: panics, held: make(chan struct{}, 1)}
	r.held <- struct{}{} // until timer is set
	r.timer = time.AfterFunc(renewalPause, r.renew)
	<-r.held
	l.setRenewing(r)
	return func() {
		cancel()
		l.setRenewing(nil)
		r.held <- struct{}{} // waits for a renewal in progress
		r.timer.Stop()
		<-r.held
	}
}

func (l *ledger) setRenewing(r *renewing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewing = r
}

func (r *renewing) renew() {
	r.held <- struct{}{}
	defer func() { <-r.held }()
	r.early.Store(false)
	if r.ctx.Err() != nil {
		return
	}
	r.panics.Run(func() {
		if err := r.ledger.currentRecord().renew(r.ctx); err != nil && r.ctx.Err() == nil {
			r.ledger.driving.interrupt(err)
		}
	})
	if !r.early.Load() {
		r.timer.Reset(renewalPause)
	}
}

// within has the next renewal follow after a delay.
func (r *renewing) within(delay time.Duration) {
	if !r.early.Swap(true) {
		r.timer.Reset(delay)
	}
}
