package spool

import (
	"context"
	"errors"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/link"
)

const (
	// heldDelay is the wait for a file that another process uploads.
	heldDelay = 15 * time.Second
	// maxRefusals is how many files are set aside at once before an upload succeeds. More
	// refusals in a row are not about the files, but about the endpoint or an option.
	maxRefusals = 5
)

// finish handles the end of a job.
func (s *spool) finish(ctx context.Context, r result) {
	switch {
	case r.action == setAsideOnly:
		s.finishSetAside(ctx, r)
	case r.err == nil:
		s.finishUpload(ctx, r)
	default:
		s.finishFailure(ctx, r)
	}
}

// end reports the end of an attempt.
func (s *spool) end(r result, kind Kind, err error) {
	if s.Hooks.OnEnd != nil {
		s.Hooks.OnEnd(End{Kind: kind, File: r.file, Result: r.outcome, Attempts: r.entry.attempts, Path: r.path, Err: err})
	}
}

// later makes an entry wait with a growing delay.
func (s *spool) later(e *entry) {
	s.queue.set(e, waiting, time.Now().Add(e.delay()))
}

// replaced reports whether a file is gone or another version, and removes or settles it.
func (s *spool) replaced(r result) bool {
	switch {
	case r.now.kind == regularFile && r.changed():
		s.settle(r.entry, r.now.file)
	case r.now.kind != regularFile && r.now.kind != unknown:
		s.queue.remove(r.entry)
	default:
		return false
	}
	return true
}

// finishUpload handles the end of an upload, or of a disposal that was retried.
func (s *spool) finishUpload(ctx context.Context, r result) {
	e := r.entry
	kind := Uploaded
	switch {
	case r.action == disposeOnly:
		r.outcome = e.uploaded
	case r.outcome.AlreadyComplete:
		kind = Already
	default:
		s.link.Reached()
		s.successes++
		s.refusals = 0
	}
	moveErr := r.moveErr
	if errors.Is(moveErr, errVanished) || errors.Is(moveErr, errChanged) || ctx.Err() != nil {
		moveErr = nil
	}
	if r.action == uploadAndDispose {
		s.end(r, kind, moveErr)
		e.retries = nil
	} else if r.moveErr == nil {
		s.logf("%s: moved or deleted after a failure to do so", r.file.Name)
	}
	switch {
	case s.replaced(r):
	case r.moveErr != nil:
		e.uploaded = r.outcome
		s.later(e)
	default:
		s.queue.set(e, done, time.Time{})
		e.retries, e.uploaded = nil, nil
	}
}

// finishFailure handles a failed upload.
func (s *spool) finishFailure(ctx context.Context, r result) {
	e, v := r.entry, link.Judge(r.err)
	switch {
	case ctx.Err() != nil:
		s.queue.set(e, ready, time.Time{})
		return
	case s.replaced(r):
		s.endReplaced(r)
		return
	}
	accepts := s.successes > e.successes // other files, since the last failure
	e.successes = s.successes
	switch v {
	case link.SourceChanged: // to a version with the same size and time
		s.end(r, Changed, r.err)
		s.later(e)
		return
	case link.TryLater:
		s.end(r, Held, r.err)
		s.queue.set(e, waiting, time.Now().Add(heldDelay))
		return
	case link.FileRefused:
		if s.GiveUp > 0 && s.refusals < maxRefusals {
			s.link.Reached()
			s.refusals++
			e.attempts++
			s.setAside(ctx, r)
			return
		}
		s.link.Fail(r.err, time.Now())
	case link.ServerFailed:
		if !accepts {
			s.link.Fail(r.err, time.Now())
			break
		}
		e.attempts++
	case link.FileUnread:
		e.attempts++
	default:
		s.link.Fail(r.err, time.Now())
	}
	if s.GiveUp > 0 && e.attempts >= s.GiveUp {
		s.setAside(ctx, r)
		return
	}
	s.end(r, Retried, r.err)
	s.later(e)
}

// endReplaced reports a file that changed or vanished during its upload, but not one that
// did so before.
func (s *spool) endReplaced(r result) {
	switch {
	case errors.Is(r.err, errChanged), errors.Is(r.err, errVanished):
	case r.now.kind == regularFile:
		s.end(r, Changed, r.err)
	default:
		s.end(r, Vanished, r.err)
	}
}

// setAside moves a file that failed for the last time.
func (s *spool) setAside(ctx context.Context, r result) {
	e := r.entry
	why := reason{at: time.Now(), attempts: e.attempts, err: r.err}
	if r.outcome != nil {
		why.url = r.outcome.URL
	}
	s.do(ctx, e, job{action: setAsideOnly, why: why})
}

// finishSetAside handles the end of setting a file aside.
func (s *spool) finishSetAside(ctx context.Context, r result) {
	r.err = r.why.err
	switch {
	case r.path == "" && ctx.Err() != nil:
	case r.path != "":
		s.end(r, SetAside, r.err)
		if r.moveErr != nil {
			s.logf("%s: its reason was not written: %v", r.file.Name, r.moveErr)
		}
	case !errors.Is(r.moveErr, errChanged) && !errors.Is(r.moveErr, errVanished):
		s.end(r, Retried, r.err)
		s.logf("%s: cannot be set aside: %v", r.file.Name, r.moveErr)
	}
	if !s.replaced(r) {
		s.later(r.entry)
	}
}
