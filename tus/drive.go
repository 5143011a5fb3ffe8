package tus

import (
	"context"
	"errors"

	"github.com/seed-175555ba/tus-go/storage"
)

// drive lets one goroutine at a time work on the upload, in a context that
// Pause can end. A panic of the caller's code leaves the upload as a pause does.
func (u *Uploader) drive(ctx context.Context, work func(context.Context) error) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !u.takeTurn(ctx, cancel) {
		return ErrBusy
	}
	renewing := carrier{stop: func() { cancel(ErrPaused) }}
	defer renewing.deliver()
	defer func() {
		if u.endTurn(ctx) {
			err = ErrPaused
		}
	}()
	u.counters.start()
	stop := u.keepLease(ctx, &renewing)
	returned := false
	defer func() {
		if !returned {
			stop()
			u.windUp(ctx)
		}
	}()
	err = u.record.renew(ctx)
	switch {
	case err == nil, u.State().Final():
		err = work(ctx)
	case ctx.Err() == nil:
		u.enter(StateFailed, err)
	default:
		u.enter(StatePaused, err)
	}
	stop()
	lost := context.Cause(ctx)
	if (errors.Is(lost, ErrLeaseLost) || errors.Is(lost, ErrStore)) && !u.State().Final() {
		err = lost
		u.enter(StateFailed, err)
	}
	u.settle(ctx, err)
	returned = true
	if context.Cause(ctx) == ErrPaused && u.State() == StatePaused {
		return ErrPaused
	}
	return err
}

// windUp pauses an upload during a panic: what the server has is not known, and a
// later Run, or a later session, can resume. Another panic would replace the first.
func (u *Uploader) windUp(ctx context.Context) {
	u.mu.Lock()
	final, cause := u.state.Final(), u.failure
	u.mu.Unlock()
	var later carrier
	if !final {
		cause = errPanicked
		later.run(func() { u.enter(StatePaused, cause) })
	}
	later.run(func() { u.settle(ctx, cause) })
}

// pauseNow pauses an upload on which nothing works.
func (u *Uploader) pauseNow(ctx context.Context) {
	defer u.settle(ctx, ErrPaused) // also when a hook panics
	u.enter(StatePaused, ErrPaused)
}

// takeTurn is false if another goroutine drives. A Pause that puts the upload's
// affairs in order is waited for, and one that comes from now on calls interrupt.
func (u *Uploader) takeTurn(ctx context.Context, interrupt context.CancelCauseFunc) bool {
	u.pausing.Lock()
	defer u.pausing.Unlock()
	select {
	case <-u.turn:
	default:
		return false
	}
	u.setInterrupt(interrupt)
	u.setDriving(ctx)
	if u.aborting.Load() > 0 {
		interrupt(ErrPaused)
	}
	return true
}

// endTurn heeds a Pause that came too late for the work to notice, as that of a Step
// which succeeds.
func (u *Uploader) endTurn(ctx context.Context) (paused bool) {
	u.pausing.Lock()
	defer u.pausing.Unlock()
	defer func() { // also when a hook panics
		u.setInterrupt(nil)
		u.setDriving(context.Background())
		u.turn <- struct{}{}
	}()
	if paused = u.pauseDue(ctx); paused {
		u.pauseNow(ctx)
	}
	return paused
}

// pauseDue reports whether a Pause has to be heeded still. One that comes later finds
// that nobody drives, or, from a hook that is told of this one, has nothing to do.
func (u *Uploader) pauseDue(ctx context.Context) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	due := context.Cause(ctx) == ErrPaused && u.state != StatePaused && !u.state.Final() && u.position == nil
	if u.interrupt = nil; due {
		u.interrupt = func(error) {}
	}
	return due
}

// settle leaves the store as a later session should find it.
func (u *Uploader) settle(ctx context.Context, err error) {
	if u.State().Final() {
		u.closePipeline()
		u.sums.buffer, u.sums.buffered, u.next = nil, span{}, chunk{}
		u.closeStream()
	} else if u.stream != nil {
		u.stream.rest()
	}
	switch u.State() {
	case StatePaused:
		u.giveBack(ctx)
		u.record.release(ctx)
	case StateFailed:
		u.giveBack(ctx)
		if !ofHook(err) && (errors.Is(err, errGoneAtOnce) || neverThisSource(err)) {
			if u.record.holds() {
				u.discarded(storage.Record{UploadURL: u.URL()}, err.Error())
			}
			u.record.drop(ctx)
			return
		}
		u.record.release(ctx)
	}
}

// neverThisSource reports whether what is on the server can never become the source as
// it is now. A file that was only touched may be found again by its content.
func neverThisSource(err error) bool {
	return errors.Is(err, ErrSourceMismatch) || errors.Is(err, ErrSourceChanged) && !errors.Is(err, errTouched)
}

func (u *Uploader) setInterrupt(f context.CancelCauseFunc) {
	u.mu.Lock()
	u.interrupt = f
	u.mu.Unlock()
}

func (u *Uploader) setDriving(ctx context.Context) {
	u.mu.Lock()
	u.driving = ctx
	u.mu.Unlock()
}

// drivenBy is the context of who drives the upload: handlers of a log look for
// traces in it.
func (u *Uploader) drivenBy() context.Context {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.driving == nil {
		return context.Background()
	}
	return u.driving
}
