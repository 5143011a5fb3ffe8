package tus

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/seed-175555ba/tus-go/storage"
)

// concatenate is the step of StateConcatenating: it creates the final upload,
// or makes sure of one that was created early.
func (u *Uploader) concatenate(ctx context.Context) (State, error) {
	if u.created() {
		return u.confirmFinal(ctx)
	}
	ps := u.parts
	early := !ps.complete()
	if err := u.verifySource(ctx); err != nil {
		return u.after(ctx, StateConcatenating, err), err
	}
	if !early && ps.uncertain {
		u.meter.update(func(s *Stats) { s.RepeatedFinals++ })
	}
	if u.keeper.holds() {
		if err := u.keeper.save(ctx, func(rec *storage.Record) {
			rec.UploadURL, rec.Concatenating = "", true // the final that was made early is of no use
		}); err != nil {
			return u.notAskedFor(ctx, err)
		}
	}
	wish := creation{metadata: u.opts.Metadata, final: []string{}}
	for _, p := range ps.list {
		wish.final = append(wish.final, p.location().String())
	}
	made, err := u.client.create(ctx, wish, u.hooks, u.meter)
	if err == nil && ps.has(made.url) {
		err = fmt.Errorf("%w: the final upload was given the URL of a part, %s", ErrProtocol, u.client.redactor.URL(made.url))
		return StateFailed, err
	}
	if err != nil {
		return u.concatenationFailed(ctx, err)
	}
	u.mu.Lock()
	u.url, u.creation, u.expires = made.url, made.response, made.expires
	u.mu.Unlock()
	u.tellURL()
	ps.confirmed = !early
	if u.keeper.holds() { // a crash from here on must not make another
		err = u.keeper.save(ctx, func(rec *storage.Record) { rec.UploadURL, rec.Expires = made.url.String(), made.expires })
	}
	if err != nil {
		return u.after(ctx, StateConcatenating, err), err
	}
	return StateReady, nil
}

// concatenationFailed judges a final upload that was not made, or may have
// been made without our learning of it.
func (u *Uploader) concatenationFailed(ctx context.Context, err error) (State, error) {
	if unsent(err) {
		return u.notAskedFor(ctx, err)
	}
	ps := u.parts
	var e *Error
	if !errors.As(err, &e) && ctx.Err() == nil {
		return u.after(ctx, StateConcatenating, err), err
	}
	answered := e != nil && !e.outcomeUnknown() && (e.StatusCode == 0 || e.StatusCode > 299)
	early := !ps.complete()
	if answered && e.StatusCode == 0 && !e.Temporary() { // the caller's hook
		return u.after(ctx, StateConcatenating, err), err
	}
	if !answered && early {
		// Perhaps it exists, and would be complete together with the one that is
		// made next. Other parts make sure that it never is.
		ps.early = false
		return u.replaceParts(ctx)
	}
	if early && ctx.Err() == nil {
		ps.early = false // then it is made at the end
		u.keeper.note(func(rec *storage.Record) { rec.Concatenating = ps.uncertain })
		return StateReady, nil
	}
	if !answered {
		ps.uncertain = true
	}
	if ctx.Err() == nil && answered && !e.Temporary() && !ps.rechecked && aboutParts(e.StatusCode) {
		ps.rechecked = true
		for _, p := range ps.list {
			u.restartPart(ps, p)
			// Parts that vanished after a lost answer were likely concatenated.
			p.uploader.given = ps.uncertain
		}
		return StateRecovering, nil
	}
	next := u.after(ctx, StateConcatenating, err)
	if next == StateFailed {
		err = u.inConcatenation(err)
	}
	return next, err
}

// notAskedFor is a final upload for which no request was sent: none more may exist.
func (u *Uploader) notAskedFor(ctx context.Context, err error) (State, error) {
	u.keeper.note(func(rec *storage.Record) { rec.Concatenating = u.parts.uncertain })
	return u.after(ctx, StateConcatenating, err), err
}

// inConcatenation marks an error for which all bytes are on the server.
func (u *Uploader) inConcatenation(err error) error {
	if u.State() != StateConcatenating || u.parts == nil || !u.parts.complete() || errors.Is(err, ErrUnconfirmed) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
}

// aboutParts reports whether a refused concatenation may mean that the server
// has not all parts any more.
func aboutParts(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusPreconditionFailed,
		http.StatusRequestEntityTooLarge, http.StatusRequestHeaderFieldsTooLarge:
		return false
	}
	return status >= 400 && status <= 499
}

// replaceParts forgets parts to which nothing was sent yet.
func (u *Uploader) replaceParts(ctx context.Context) (State, error) {
	for _, p := range u.parts.list {
		p.locate(nil)
		u.restartPart(u.parts, p)
	}
	if u.keeper.holds() {
		saving, cancel := uncancelled(ctx)
		defer cancel()
		err := u.keeper.save(saving, func(rec *storage.Record) {
			rec.Concatenating = false
			for i := range rec.Parts {
				rec.Parts[i].UploadURL = ""
			}
		})
		if err != nil {
			next := u.after(ctx, StateConcatenating, err)
			if next == StateConcatenating {
				next = StateRecovering // there are no parts to make it of
			}
			return next, err
		}
	}
	if ctx.Err() != nil {
		return StatePaused, contextError(ctx)
	}
	return StateReady, nil
}

// confirmFinal asks whether the final upload, made while parts were missing, is
// complete now.
func (u *Uploader) confirmFinal(ctx context.Context) (State, error) {
	u.mu.Lock()
	at := u.url
	u.mu.Unlock()
	info, err := u.client.head(ctx, at, u.hooks, u.meter)
	useless := u.parts.doubtful && !info.Complete() || !info.LengthDeferred && info.Length != u.info.Size
	switch {
	case uploadGone(err), err == nil && useless:
		u.mu.Lock()
		u.url = nil
		u.mu.Unlock()
		u.parts.early, u.parts.doubtful = false, false
		return StateReady, nil
	case err != nil:
		next := u.after(ctx, StateConcatenating, err)
		if next == StateFailed {
			err = u.inConcatenation(err)
		}
		return next, err
	case !info.Complete():
		err := fmt.Errorf("%w: %s %d", errStillConcatenating, headerUploadOffset, info.Offset)
		return StateConcatenating, &Error{Method: http.MethodHead, URL: u.client.redactor.URL(at), StatusCode: info.Response.StatusCode, Err: err}
	}
	u.parts.confirmed = true
	return StateReady, nil
}
