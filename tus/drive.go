package tus

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// drive lets one goroutine at a time work on the upload, in a context that
// Pause can end. A panic of the caller's code leaves the upload as a pause does.
func (u *Uploader) drive(ctx context.Context, work func(context.Context) error) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !u.turn.take(ctx, cancel) {
		return ErrBusy
	}
	renewing := async.Panics{Stop: func() { cancel(ErrPaused) }}
	defer renewing.Repanic()
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
	var later async.Panics
	defer later.Run(func() { u.settle(ctx, cause) }) // also when a hook ends the goroutine
	if !final {
		cause = async.ErrPanicked
		later.Run(func() { u.enter(StatePaused, cause) })
	}
}

// Pause pauses the upload and cancels a request in flight. The Run or Step in progress
// returns [ErrPaused]; the next one resumes the upload. If none is in progress, the state
// becomes [StatePaused]. Pause does not wait and has no effect in a final state.
func (u *Uploader) Pause() {
	if u.turn.interrupt(ErrPaused) {
		return
	}
	u.turn.pausing.Lock()
	defer u.turn.pausing.Unlock()
	select {
	case <-u.turn.token:
		defer u.turn.give()
		u.turn.interruptible(func(error) {}) // a hook that is called now may call Pause as well
		if !u.State().Final() {
			u.pauseNow(context.Background())
		}
	default: // a goroutine began to drive just now
		u.turn.interrupt(ErrPaused)
	}
}

// pauseNow pauses an upload on which nothing works.
func (u *Uploader) pauseNow(ctx context.Context) {
	defer u.settle(ctx, ErrPaused) // also when a hook panics
	u.enter(StatePaused, ErrPaused)
}

// endTurn carries out a Pause that came too late for the work to notice, as that of a
// Step which succeeds.
func (u *Uploader) endTurn(ctx context.Context) (paused bool) {
	u.turn.pausing.Lock()
	defer u.turn.pausing.Unlock()
	defer u.turn.give() // also when a hook panics
	state := u.State()
	if paused = u.turn.pauseDue(ctx) && state != StatePaused && !state.Final(); paused {
		u.pauseNow(ctx)
	}
	return paused
}

// settle leaves the store as a later session should find it.
func (u *Uploader) settle(ctx context.Context, err error) {
	state := u.State()
	if state.Final() {
		u.close()
	} else { // nothing is read ahead while the upload is not driven
		if u.work != nil {
			u.work.rest()
		}
		u.planner.rest()
	}
	switch state {
	case StatePaused:
		u.finder.release(ctx)
		u.record.release(ctx)
	case StateFailed:
		u.finder.release(ctx)
		if !ofHook(err) && (errors.Is(err, errGoneAtOnce) || neverThisSource(err)) {
			if u.record.holds() {
				u.notResumed(ctx, u.Name(), u.URL(), err.Error())
			}
			u.record.drop(ctx)
			return
		}
		u.record.release(ctx)
	}
}

// close frees what is held of the source.
func (u *Uploader) close() {
	if u.work != nil {
		u.work.close()
	}
	u.planner.close()
}

// neverThisSource reports whether what is on the server can never become the source as
// it is now. A file that was only touched may be found again by its content.
func neverThisSource(err error) bool {
	return errors.Is(err, ErrSourceMismatch) || errors.Is(err, ErrSourceChanged) && !errors.Is(err, errTouched)
}

// Abort stops the upload and deletes it on the server (protocol section Termination),
// with its parts if it is parallel, retrying by the client's policy, and from the store.
// If the upload is complete, Abort does nothing and returns an error matching
// [ErrInvalidInput]: use [Client.Terminate]. If another Uploader has its lease, it does
// nothing and returns an error matching [ErrLeaseLost]. The Run or Step in progress returns
// [ErrPaused], later ones [ErrAborted].
func (u *Uploader) Abort(ctx context.Context) error {
	u.turn.aborting.Add(1) // whatever begins to drive from now on is paused, too
	defer u.turn.aborting.Add(-1)
	u.Pause()
	select {
	case <-u.turn.token:
		u.turn.drivenBy(ctx)
		defer u.turn.give()
	case <-ctx.Done():
		return async.ContextError(ctx)
	}
	returned := false
	defer func() {
		if !returned {
			u.windUp(ctx)
		}
	}()
	err := u.abort(ctx)
	returned = true
	return err
}

// abort is Abort for the goroutine that has the turn.
func (u *Uploader) abort(ctx context.Context) error {
	switch u.State() {
	case StateAborted:
		return nil
	case StateComplete:
		return fmt.Errorf("%w: upload is complete", ErrInvalidInput)
	}
	if err := u.record.acquire(ctx); errors.Is(err, ErrLeaseLost) {
		if !u.State().Final() {
			u.enter(StateFailed, err)
			u.settle(ctx, err)
		}
		return err
	}
	for _, at := range u.urls() {
		if err := u.terminate(ctx, at); err != nil {
			u.record.release(ctx)
			return err
		}
	}
	u.record.drop(ctx)
	u.enter(StateAborted, nil)
	u.settle(ctx, nil)
	return nil
}

// urls returns those of everything that the upload has on the server.
func (u *Uploader) urls() []*url.URL {
	if u.work != nil {
		return u.work.urls()
	}
	if at := u.status().url; at != nil {
		return []*url.URL{at}
	}
	return nil
}
