package tus

import (
	"context"
	"sync"
	"sync/atomic"
)

// turn lets one goroutine at a time drive an Uploader, and others interrupt it.
type turn struct {
	token    chan struct{} // holds a token while no goroutine drives
	pausing  sync.Mutex    // held while Pause has the token, and while that changes
	aborting atomic.Int32  // how many wait for the token to abort

	mu     sync.Mutex
	cancel context.CancelCauseFunc // ends what is being done; nil if nothing is
	ctx    context.Context         // of the driving goroutine, for the log; nil for none
}

func newTurn() *turn {
	t := &turn{token: make(chan struct{}, 1)}
	t.token <- struct{}{}
	return t
}

// interrupt ends what is being done. It is false if no goroutine drives.
func (t *turn) interrupt(cause error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancel == nil {
		return false
	}
	t.cancel(cause)
	return true
}

// interruptible sets what interrupt calls, nil for nothing.
func (t *turn) interruptible(cancel context.CancelCauseFunc) {
	t.mu.Lock()
	t.cancel = cancel
	t.mu.Unlock()
}

// drivenBy sets the context of the driving goroutine.
func (t *turn) drivenBy(ctx context.Context) {
	t.mu.Lock()
	t.ctx = ctx
	t.mu.Unlock()
}

// context is that of the driving goroutine: handlers of a log look for traces in it.
func (t *turn) context() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx == nil {
		return context.Background()
	}
	return t.ctx
}

// take is false if another goroutine drives. A Pause that releases the record of the
// upload is waited for, and one that comes from now on calls cancel.
func (t *turn) take(ctx context.Context, cancel context.CancelCauseFunc) bool {
	t.pausing.Lock()
	defer t.pausing.Unlock()
	select {
	case <-t.token:
	default:
		return false
	}
	t.interruptible(cancel)
	t.drivenBy(ctx)
	if t.aborting.Load() > 0 {
		cancel(ErrPaused)
	}
	return true
}

// pauseDue reports whether a Pause still has to be carried out that came too late for the
// work to notice. One that comes later finds that no goroutine drives, or, from a hook that
// is called because of this one, has nothing to do.
func (t *turn) pauseDue(ctx context.Context) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	due := context.Cause(ctx) == ErrPaused
	if t.cancel = nil; due {
		t.cancel = func(error) {}
	}
	return due
}

// give lets another goroutine drive.
func (t *turn) give() {
	t.mu.Lock()
	t.cancel, t.ctx = nil, nil
	t.mu.Unlock()
	t.token <- struct{}{}
}
