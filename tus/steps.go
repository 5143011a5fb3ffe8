package tus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/seed-175555ba/tus-go/storage"
)

// step does the work of the current state and enters the one that follows.
func (u *Uploader) step(ctx context.Context) error {
	from := u.State()
	row := transitions(from)
	if row.do == nil {
		if from == StateComplete {
			return nil
		}
		return &endedError{from, u.failure}
	}
	u.retries.settling = 0 // of a Step that no wait followed
	next, err := row.do(u, ctx)
	u.retries.returned(from, err)
	if !row.allows(from, next) {
		next, err = StateFailed, fmt.Errorf("tus: defect: no transition from %v to %v", from, next)
	}
	switch {
	case next == StatePaused && err == nil:
		err = ErrPaused
	case next == StatePaused:
		err = withContext(ctx, err)
	case next == StateFailed:
		err = u.ofStored(err)
	}
	u.enter(next, err)
	return err
}

// enter is the only place where the state changes.
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

// failed returns the state that follows a failure outside of the delivery.
func (u *Uploader) failed(ctx context.Context, err error) (State, error) {
	return u.retries.after(ctx, u.State(), err), err
}

// deliver is the step of all states in which the delivery works.
func (u *Uploader) deliver(ctx context.Context) (State, error) {
	if u.State() == StateRecovering {
		if err := u.recoverRecord(ctx); err != nil {
			return u.failed(ctx, err)
		}
	}
	o := u.work.step(ctx)
	return u.report(ctx, &o)
}

// recoverRecord stores an upload again before the server is asked for its offset: after a
// pause the lease has to be taken again, and a pause may have come between the creation and
// its record.
func (u *Uploader) recoverRecord(ctx context.Context) error {
	if err := u.record.acquire(ctx); err != nil || u.record.stored() {
		return err
	}
	return u.save(ctx)
}

// report stores and reports what a step of the delivery led to. An error of the store
// replaces the outcome, unless that ends the upload.
func (u *Uploader) report(ctx context.Context, o *outcome) (State, error) {
	u.refresh()
	if o.lost {
		u.forget(ctx, o)
	}
	if o.stopped {
		u.opts.StopAt = 0 // also for an upload that replaces this one
	}
	if o.patched != nil {
		u.learn(func(s *status) { s.lastPatch = o.patched })
	}
	var e *Error
	if errors.As(o.refusal, &e) {
		// The refusal matters more than a failure of the store, which the hooks have.
		_ = saveEnd(ctx, u.record, func(rec *storage.Record) { rec.Refusal = statusText(e.StatusCode) })
	}
	var err error
	switch {
	case o.created != nil:
		err = u.created(ctx, o)
	case o.lacks:
		err = saveEnd(ctx, u.record, notComplete)
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

// forget removes what is known of an upload that is gone.
func (u *Uploader) forget(ctx context.Context, o *outcome) {
	if o.next != StateFailed && o.err != nil {
		u.warn(ctx, u.status().info.Name, "tus starting over: "+o.err.Error(), slog.String("url", u.client.showURL(u.URL())))
	}
	u.learn(func(s *status) { s.url, s.creation, s.kept = nil, nil, nil })
	u.record.drop(ctx)
	u.resumed = storage.Record{}
	if o.single {
		u.begin(u.planner.newTransfer())
	}
}

// created reports the URL of a new upload, and stores it before a byte is sent to it. One
// that is complete already needs no record.
func (u *Uploader) created(ctx context.Context, o *outcome) error {
	made := o.created
	u.learn(func(s *status) {
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
	o := u.work.step(ctx)
	if o.next == StateComplete {
		u.record.drop(ctx)
	}
	return o.next, o.err
}

// unpause is the step of StatePaused. If nothing was created, how to send the source is
// decided again.
func (u *Uploader) unpause(context.Context) (State, error) {
	if u.work == nil || !u.work.exists() {
		u.begin(nil)
		u.finder = nil
		return StateIdle, nil
	}
	u.work.resume()
	return u.work.current(), nil
}

// exhausted returns the error of an upload that has no retry left after a failure.
func (u *Uploader) exhausted(failure error) error {
	if u.State() == StateConcatenating && !errors.Is(failure, ErrUnconfirmed) { // all bytes are on the server
		failure = fmt.Errorf("%w: %w", ErrUnconfirmed, failure)
	}
	return u.ofStored(failure)
}
