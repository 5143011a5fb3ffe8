package tus

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// lookup reads the stored uploads of the source, once.
func (u *Uploader) lookup(ctx context.Context) error {
	if u.record == nil || u.finder != nil {
		return nil
	}
	key, err := u.planner.resumeKey(ctx)
	if err != nil {
		return err
	}
	if previous := u.opts.Previous; previous != nil && (previous.ID == "" || previous.key != key) {
		return fmt.Errorf("%w: UploadOptions.Previous does not match this source, Metadata and ResumeKey", ErrInvalidInput)
	}
	if key == "" {
		return nil
	}
	u.record.source = storage.Record{
		Fingerprint: key, Endpoint: httpx.RedactURL(u.client.endpoint),
		Size: u.status().info.Size, Metadata: u.opts.Metadata,
	}
	f := &finder{requester: u.requester, records: u.record.records, source: u.planner.info, opts: &u.opts, ownKey: u.planner.ownKey, retries: &u.retries}
	if err := f.look(ctx); err != nil {
		return err
	}
	u.finder = f
	return nil
}

// locate is the step of StateLocating.
func (u *Uploader) locate(ctx context.Context) (State, error) {
	if u.finder.recalled() == nil && !u.planner.sums.decided { // StateIdle left it for later
		if err := u.planner.negotiateChecksum(ctx); err != nil {
			return u.failed(ctx, err)
		}
		return StateLocating, nil
	}
	chosen, err := u.finder.step(ctx)
	switch {
	case heldForNow(err):
		return StateLocating, err
	case err != nil:
		return u.failed(ctx, err)
	case chosen != nil:
		u.digest.restore(chosen.rec.Digest)
		u.setRecord(chosen.record)
		return u.resume(chosen)
	case u.finder.decided:
		return StateIdle, nil
	}
	return StateLocating, nil
}

// storedError adds the stored upload to a refusal by the server, which would end every
// later session, too. It does not for a 401, which is about the credentials, and for an
// upload that is gone or may be complete, where deleting the record is no remedy.
func (u *Uploader) storedError(err error) error {
	rec := u.resumed
	if current := u.finder.current(); current.ID != "" {
		rec = current
	}
	var e *Error
	if rec.ID == "" || !errors.As(err, &e) || e.StatusCode < 400 || unauthorized(err) ||
		isHookError(err) || errors.Is(err, errSource) || errors.Is(err, ErrUploadGone) || errors.Is(err, ErrUnconfirmed) {
		return err
	}
	return &StoredError{ID: rec.ID, created: rec.Created, acknowledged: u.Offset(), refusal: err}
}

// resume resumes a stored upload. Nothing is left to do for one that is completed.
func (u *Uploader) resume(c *candidate) (State, error) {
	var at *url.URL
	if c.rec.UploadURL != "" {
		var err error
		if at, err = parseURL("stored upload URL", c.rec.UploadURL); err != nil {
			return StateFailed, err
		}
	}
	u.resumed = c.rec
	u.updateStatus(func(s *status) {
		s.url, s.expires, s.kept = at, c.rec.Expires, c.rec.CreationHeader
		if !c.info.Expires.IsZero() {
			s.expires = c.info.Expires
		}
		if s.recalled = completed(c.rec); s.recalled && u.digest.isOf(c.rec.Digest) {
			s.digest = c.rec.Digest
		}
	})
	if len(c.rec.Parts) > 0 {
		p := u.planner.newParallel()
		u.setWork(p) // Abort deletes the parts even if they cannot be resumed
		if err := p.resumeParts(c); err != nil {
			return StateFailed, err
		}
		u.changed()
		return afterResume(StateReady, u.retries.acknowledged(c.offset, 0, 0))
	}
	t := u.planner.newTransfer()
	t.restored, t.length.deferred = true, c.info.LengthDeferred
	t.updateAccount(func(a *account) { a.url = at })
	t.enter(StateReady)
	if completed(c.rec) {
		t.enter(StateComplete)
	}
	t.counters.resumeAt(c.offset)
	u.setWork(t)
	return afterResume(t.current(), t.acknowledge(c.offset))
}

// afterResume returns the state that follows a resumption, which fails at most for good.
func afterResume(next State, err error) (State, error) {
	if err != nil {
		return StateFailed, err
	}
	return next, nil
}
