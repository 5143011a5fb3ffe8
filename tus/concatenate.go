package tus

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/seed-175555ba/tus-go/storage"
)

// concatenate is the step of StateConcatenating: it creates the final upload, or waits
// until one that an earlier session created is complete.
func (u *Uploader) concatenate(ctx context.Context) (State, error) {
	if u.created() {
		return u.confirmFinal(ctx)
	}
	ps := u.parts
	if err := u.verifySource(ctx); err != nil {
		return u.after(ctx, StateConcatenating, err), err
	}
	if ps.uncertain {
		u.counters.update(func(s *Stats) { s.RepeatedFinals++ })
	}
	if u.record.holds() {
		if err := u.record.save(ctx, func(rec *storage.Record) { rec.Finishing = true }); err != nil {
			return u.notAskedFor(ctx, err)
		}
	}
	final, paths := u.client.partNames(ps.urls(), ps.rechecked)
	request := creation{metadata: u.opts.Metadata, final: final}
	made, err := u.requester.create(ctx, request)
	if err == nil && ps.has(made.url) {
		err = fmt.Errorf("%w: the final upload was given the URL of a part, %s", ErrProtocol, u.client.redactor.URL(made.url))
		return StateFailed, err
	}
	if err != nil {
		return u.concatenationFailed(ctx, err)
	}
	if ps.rechecked && !paths {
		u.client.partURLs.Store(true)
	}
	u.createdAs(made)
	u.tellURL()
	ps.confirmed = true
	if u.record.holds() { // a crash from here on must not make another
		err = u.record.save(ctx, func(rec *storage.Record) {
			rec.UploadURL, rec.Expires, rec.CreationHeader = made.url.String(), made.expires, made.kept
		})
	}
	if err != nil {
		return u.after(ctx, StateConcatenating, err), err
	}
	return StateReady, nil
}

// concatenationFailed judges a final upload that was not created, or may have been
// created although no response says so.
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
	if answered && e.StatusCode == 0 && !e.Temporary() { // the caller's hook
		return u.after(ctx, StateConcatenating, err), err
	}
	if !answered {
		ps.uncertain = true
	}
	if ctx.Err() == nil && answered && !e.Temporary() && !ps.rechecked && aboutParts(e.StatusCode) {
		ps.rechecked = true
		for _, p := range ps.list {
			u.restartPart(ps, p)
			// Parts that vanished after a lost response were probably concatenated.
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
	u.record.saveLazily(func(rec *storage.Record) { rec.Finishing = u.parts.uncertain })
	return u.after(ctx, StateConcatenating, err), err
}

// inConcatenation marks an error for which all bytes are on the server.
func (u *Uploader) inConcatenation(err error) error {
	if u.State() != StateConcatenating || errors.Is(err, ErrUnconfirmed) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
}

// aboutParts reports whether a refused concatenation may mean that the server has not all
// parts any more, or does not take their paths for URLs.
func aboutParts(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusPreconditionFailed,
		http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return false
	}
	return status >= 400 && status <= 499
}

// confirmFinal asks whether the final upload that an earlier session created is
// complete by now. A server that no longer has it may have moved it away.
func (u *Uploader) confirmFinal(ctx context.Context) (State, error) {
	u.mu.Lock()
	at := u.url
	u.mu.Unlock()
	u.sentTo = u.info.Size // it was created of complete parts
	info, err := u.requester.head(ctx, at)
	err = u.judgeGone(ctx, at, err)
	if err == nil {
		info = info.withLength(u.info.Size)
	}
	if err == nil && !info.Complete() {
		err = &Error{Method: http.MethodHead, URL: u.client.redactor.URL(at), StatusCode: info.Response.StatusCode,
			Err: fmt.Errorf("%w: %s %d", errStillConcatenating, headerUploadOffset, info.Offset)}
		return StateConcatenating, err
	}
	if err != nil {
		next := u.after(ctx, StateConcatenating, err)
		if next == StateFailed {
			err = u.inConcatenation(err)
		}
		return next, err
	}
	u.parts.confirmed = true
	return StateReady, nil
}
