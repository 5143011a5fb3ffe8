package tus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/seed-175555ba/tus-go/storage"
)

// step does the work of the current state and enters the one that follows.
func (u *Uploader) step(ctx context.Context) error {
	from := u.State()
	work, to := u.transitions(from)
	if work == nil {
		if from == StateComplete {
			return nil
		}
		return &endedError{from, u.failure}
	}
	u.retries.minWait = 0 // of a Step that no wait followed
	next, err := work(ctx)
	u.retries.returned(from, err)
	if next != from && next != StatePaused && next != StateFailed && !to.has(next) {
		next, err = StateFailed, fmt.Errorf("tus: defect: no transition from %v to %v", from, next)
	}
	switch {
	case next == StatePaused && err == nil:
		err = ErrPaused
	case next == StatePaused:
		err = withContext(ctx, err)
	case next == StateFailed:
		err = u.storedError(err)
	}
	u.enter(next, err)
	return err
}

// enter is the only setter of the state.
func (u *Uploader) enter(next State, cause error) {
	u.mu.Lock()
	from := u.state
	u.state = next
	switch u.failure = nil; next {
	case StateFailed:
		u.failure = cause
	case StateAborted:
		u.failure = ErrAborted
	}
	u.mu.Unlock()
	if next.Final() || next == StatePaused {
		u.counters.end()
	}
	if next != from {
		u.hooks.stateChange(from, next, cause)
	}
}

// failed returns the state that follows a failure outside the delivery.
func (u *Uploader) failed(ctx context.Context, err error) (State, error) {
	return u.retries.after(ctx, u.State(), err), err
}

// prepare is the step of StateIdle. It requests the capabilities of the server only if
// they change what is sent.
func (u *Uploader) prepare(ctx context.Context) (State, error) {
	err := u.planner.inspect(ctx)
	if err == nil {
		u.updateStatus(u.planner.describe)
		err = u.lookup(ctx)
	}
	if err != nil {
		return u.failed(ctx, err)
	}
	switch c := u.finder.recalled(); {
	case c != nil && u.finder.verifies(c):
		return StateLocating, nil
	case c != nil:
		return u.resume(ctx, u.finder.chooseCompleted(ctx))
	}
	if err := u.planner.negotiateChecksum(ctx); err != nil {
		u.finder = u.finder.reusable()
		return u.failed(ctx, err)
	}
	if t := u.planner.resumeExternal(); t != nil {
		u.setWork(t)
		return StateRecovering, nil
	}
	if u.finder.undecided() {
		return StateLocating, nil
	}
	if u.token != nil {
		return u.failed(ctx, fmt.Errorf("%w: UploadOptions.Token: %s", ErrUploadGone, strings.Join(u.finder.unresumed, "; ")))
	}
	work, err := u.planner.negotiate(ctx)
	if err != nil {
		return u.failed(ctx, err)
	}
	u.updateStatus(u.planner.describe)
	if u.finder.reserves(work) {
		r, err := u.finder.reserve(ctx)
		switch {
		case err != nil:
			return u.failed(ctx, err)
		case r == nil:
			return StateLocating, nil
		}
		u.setRecord(r)
	}
	u.setWork(work)
	u.finder.logStartOver(ctx)
	return StateCreating, nil
}

// deliver is the step of all states in which the delivery works.
func (u *Uploader) deliver(ctx context.Context) (State, error) {
	if u.State() == StateRecovering {
		// The pause before may have released the lease, or have come between the creation
		// of the upload and its record.
		err := u.record.acquire(ctx)
		if err == nil && !u.record.stored() {
			err = u.save(ctx)
		}
		if err != nil {
			return u.failed(ctx, err)
		}
	}
	if s := u.State(); s == StateReady || s == StateSending {
		if err := u.digest.ready(ctx, u.work.account().offset); err != nil {
			return u.failed(ctx, err)
		}
	}
	o := u.work.step(ctx)
	return u.report(ctx, &o)
}

// report stores and reports the outcome of a step of the delivery. An error of the store
// replaces the outcome, unless that ends the upload.
func (u *Uploader) report(ctx context.Context, o *outcome) (State, error) {
	u.refresh()
	if o.lost {
		u.forget(ctx, o)
	}
	if o.stopped {
		u.opts.StopAt = 0 // also if the upload starts over
	}
	if o.resumed != nil {
		u.hooks.resumed(*o.resumed)
		u.changed()
	}
	if o.patched != nil {
		u.updateStatus(func(s *status) { s.lastPatch = o.patched })
	}
	var e *Error
	if errors.As(o.refusal, &e) {
		// The refusal matters more than a failure of the store, which the hooks report.
		_ = u.saveEnd(ctx, func(rec *storage.Record) { rec.Refusal = statusText(e.StatusCode) })
	}
	var err error
	switch {
	case o.created != nil:
		err = u.created(ctx, o)
	case o.lacks:
		err = u.saveEnd(ctx, clearEnd)
	case contended(o.err) && o.next != StateFailed && ctx.Err() == nil:
		err = u.confirm(ctx)
	}
	if err == nil || o.next == StateFailed {
		return o.next, o.err
	}
	next, err := u.failed(ctx, err)
	if next == u.State() { // the upload exists, and only its record is missing
		u.work.resume()
		next = u.work.current()
	}
	return next, err
}

// forget clears the status and the record of an upload that is gone.
func (u *Uploader) forget(ctx context.Context, o *outcome) {
	if o.next != StateFailed && o.err != nil {
		u.warn(ctx, u.status().info.Name, "tus starting over: "+o.err.Error(), slog.String("url", u.showURL(u.URL())))
	}
	u.updateStatus(func(s *status) { s.url, s.creation, s.kept, s.later = nil, nil, nil, storage.Record{} })
	if o.next == StateCreating {
		u.record.clear(ctx)
	} else {
		u.record.drop(ctx)
	}
	u.resumed = storage.Record{}
	if o.single {
		u.setWork(u.planner.newTransfer())
	}
}

// created reports the URL of a new upload, and stores it before a byte is sent to it. An
// upload that is already complete needs no record until the end.
func (u *Uploader) created(ctx context.Context, o *outcome) error {
	made := o.created
	u.updateStatus(func(s *status) {
		s.url, s.creation, s.expires, s.kept = made.url, made.response, made.expires, made.kept
	})
	if made.url != nil {
		u.hooks.created(made.exported())
	}
	u.changed()
	if o.completed && !u.record.holds() {
		return nil
	}
	return u.save(ctx)
}

// finish is the step of StateFinishing.
func (u *Uploader) finish(ctx context.Context) (State, error) {
	digest, err := u.digest.finish(ctx, u.work.account().info.Size) // before the source is verified
	if err != nil {
		return u.failed(ctx, err)
	}
	o := u.work.step(ctx)
	if o.next == StateComplete {
		u.updateStatus(func(s *status) { s.digest = digest })
		u.conclude(ctx)
	}
	return o.next, o.err
}

// unpause is the step of StatePaused. If nothing was created, it repeats StateIdle.
func (u *Uploader) unpause(context.Context) (State, error) {
	if u.work == nil || !u.work.exists() {
		u.setWork(nil)
		u.finder = nil
		return StateIdle, nil
	}
	u.work.resume()
	return u.work.current(), nil
}
