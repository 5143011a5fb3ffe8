package tus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// driveLock lets one goroutine at a time drive an Uploader, and others interrupt it.
type driveLock struct {
	sem      *semaphore.Weighted // held by the driving goroutine, or by Pause or Abort
	pausing  sync.Mutex          // held while Pause holds sem, and while sem is acquired or released
	aborting atomic.Int32        // number of goroutines in Abort

	mu     sync.Mutex
	cancel context.CancelCauseFunc // ends the work in progress; nil for none
	ctx    context.Context         // of the holder of sem, for the log: handlers look for traces in it
}

func newDriveLock() *driveLock {
	return &driveLock{sem: semaphore.NewWeighted(1), ctx: context.Background()}
}

// tryAcquire returns false if another goroutine drives. A Pause that is releasing the record
// of the upload is waited for; a later one calls cancel.
func (l *driveLock) tryAcquire(ctx context.Context, cancel context.CancelCauseFunc) bool {
	l.pausing.Lock()
	defer l.pausing.Unlock()
	if !l.sem.TryAcquire(1) {
		return false
	}
	l.hold(ctx, cancel)
	if l.aborting.Load() > 0 {
		cancel(ErrPaused)
	}
	return true
}

// acquire waits until no other goroutine drives. A Pause then has no effect.
func (l *driveLock) acquire(ctx context.Context) error {
	if l.sem.Acquire(ctx, 1) != nil {
		return async.ContextError(ctx)
	}
	l.hold(ctx, nil)
	return nil
}

// hold sets the context of the holder, and what interrupt calls, nil for nothing.
func (l *driveLock) hold(ctx context.Context, cancel context.CancelCauseFunc) {
	l.mu.Lock()
	l.ctx, l.cancel = ctx, cancel
	l.mu.Unlock()
}

func (l *driveLock) release() {
	l.hold(context.Background(), nil)
	l.sem.Release(1)
}

// interrupt cancels the work in progress. It returns false if there is none.
func (l *driveLock) interrupt(cause error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel == nil {
		return false
	}
	l.cancel(cause)
	return true
}

func (l *driveLock) context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx
}

// end ends the work in progress, and reports whether a Pause has canceled ctx, which the
// work may not have noticed. A Pause from now on finds no work or, in a hook that is called
// because of this one, has no effect.
func (l *driveLock) end(ctx context.Context) (paused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	paused = context.Cause(ctx) == ErrPaused
	if l.cancel = nil; paused {
		l.cancel = func(error) {}
	}
	return paused
}

// drive runs work in a context that Pause cancels, in one goroutine at a time. A panic of
// the caller's code pauses the upload.
func (u *Uploader) drive(ctx context.Context, work func(context.Context) error) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !u.driving.tryAcquire(ctx, cancel) {
		return ErrBusy
	}
	renewing := async.Panics{Stop: func() { cancel(ErrPaused) }}
	defer renewing.Repanic()
	defer func() {
		if u.endDrive(ctx) {
			err = ErrPaused
		}
	}()
	u.counters.start()
	if state := u.State(); state == StateIdle || state == StatePaused {
		u.startRate()
	}
	u.digest.begin(ctx, &renewing)
	stop := u.keepLease(ctx, &renewing)
	returned := false
	defer func() {
		if !returned {
			stop()
			u.pauseInPanic(ctx)
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
	u.release(ctx, err)
	returned = true
	if context.Cause(ctx) == ErrPaused && u.State() == StatePaused {
		return ErrPaused
	}
	return err
}

// pauseInPanic pauses the upload, so that a later Run or session can resume it: the offset
// of the server is unknown. A second panic does not replace the first.
func (u *Uploader) pauseInPanic(ctx context.Context) {
	u.mu.Lock()
	final, cause := u.state.Final(), u.failure
	u.mu.Unlock()
	var later async.Panics
	defer later.Run(func() { u.release(ctx, cause) }) // also when a hook ends the goroutine
	if !final {
		cause = async.ErrPanicked
		later.Run(func() { u.enter(StatePaused, cause) })
	}
}

// endDrive ends the work in progress. It first pauses the upload if Pause was called too
// late for the work to notice, as during a Step that succeeds.
func (u *Uploader) endDrive(ctx context.Context) (paused bool) {
	u.driving.pausing.Lock()
	defer u.driving.pausing.Unlock()
	defer u.driving.release() // also when a hook panics
	state := u.State()
	if paused = u.driving.end(ctx) && state != StatePaused && !state.Final(); paused {
		u.pauseNow(ctx)
	}
	return paused
}

// Pause pauses the upload and cancels a request in flight. The Run or Step in progress
// returns [ErrPaused]; the next one resumes the upload. If none is in progress, the state
// becomes [StatePaused]. Pause does not wait and has no effect in a final state.
func (u *Uploader) Pause() {
	if u.driving.interrupt(ErrPaused) {
		return
	}
	u.driving.pausing.Lock()
	defer u.driving.pausing.Unlock()
	if !u.driving.sem.TryAcquire(1) { // a goroutine has just begun to drive
		u.driving.interrupt(ErrPaused)
		return
	}
	defer u.driving.release()
	u.driving.hold(context.Background(), func(error) {}) // a hook may call Pause
	if !u.State().Final() {
		u.pauseNow(context.Background())
	}
}

// pauseNow pauses an upload that has no work in progress.
func (u *Uploader) pauseNow(ctx context.Context) {
	defer u.release(ctx, ErrPaused) // also when a hook panics
	u.enter(StatePaused, ErrPaused)
}

// release releases what an upload needs only while it is driven, and updates the store for
// a later session. err is the error of a failed upload.
func (u *Uploader) release(ctx context.Context, err error) {
	u.digest.end()
	releaseContent(u.planner.source)
	state := u.State()
	if state.Final() || u.once {
		if u.work != nil {
			u.work.close()
		}
		u.planner.close()
	} else {
		if u.work != nil {
			u.work.stopAhead()
		}
		u.planner.stopAhead()
	}
	switch state {
	case StatePaused:
		u.finder.release(ctx)
		u.record.release(ctx)
	case StateFailed:
		u.finder.release(ctx)
		if isHookError(err) || !errors.Is(err, errGoneAtOnce) && !neverThisSource(err) {
			u.record.release(ctx)
			return
		}
		if u.record.holds() {
			u.notResumed(ctx, u.Name(), u.URL(), err.Error())
		}
		u.record.drop(ctx)
	}
}

// neverThisSource reports whether the bytes on the server differ from the source for good.
// A file of which only the times changed may be found again by its content.
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
	u.driving.aborting.Add(1) // pauses each Run and Step that begins from now on
	defer u.driving.aborting.Add(-1)
	u.Pause()
	if err := u.driving.acquire(ctx); err != nil {
		return err
	}
	defer u.driving.release()
	returned := false
	defer func() {
		if !returned {
			u.pauseInPanic(ctx)
		}
	}()
	err := u.abort(ctx)
	returned = true
	return err
}

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
			u.release(ctx, err)
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
	u.release(ctx, nil)
	return nil
}

// urls returns the URLs of all uploads on the server.
func (u *Uploader) urls() []*url.URL {
	if u.work != nil {
		return u.work.urls()
	}
	if at := u.status().url; at != nil {
		return []*url.URL{at}
	}
	return nil
}
