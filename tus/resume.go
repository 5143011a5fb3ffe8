package tus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

// lookup finds the stored uploads of the source.
func (u *Uploader) lookup(ctx context.Context) error {
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
	u.describe(key, u.opts.Metadata)
	f := &finder{requester: u.requester, records: u.record.records, source: u.planner.info, opts: &u.opts, ownKey: u.planner.ownKey, retries: &u.retries}
	if err := f.look(ctx); err != nil {
		return err
	}
	u.finder = f
	return nil
}

// locate is the step of StateLocating.
func (u *Uploader) locate(ctx context.Context) (State, error) {
	found, err := u.finder.step(ctx)
	switch {
	case heldForNow(err):
		return StateLocating, err
	case err != nil:
		return u.failed(ctx, err)
	case found != nil:
		u.setRecord(found.record)
		if err := u.resume(found); err != nil {
			return StateFailed, err
		}
		return StateReady, nil
	case u.finder.decided:
		return StateIdle, nil
	}
	return StateLocating, nil
}

// ofStored adds the stored upload to a refusal by the server, which would end every later
// session, too. A 401 is about the credentials, and an upload that is gone, or may be
// complete, does not become better by starting over.
func (u *Uploader) ofStored(err error) error {
	rec := u.resumed
	if asking := u.finder.asking(); asking.ID != "" {
		rec = asking
	}
	var e *Error
	if rec.ID == "" || !errors.As(err, &e) || e.StatusCode < 400 || unauthorized(err) ||
		ofHook(err) || errors.Is(err, errSource) || errors.Is(err, ErrUploadGone) || errors.Is(err, ErrUnconfirmed) {
		return err
	}
	return &StoredError{ID: rec.ID, created: rec.Created, acknowledged: u.Offset(), refusal: err}
}

// resume resumes a stored upload.
func (u *Uploader) resume(c *found) error {
	var at *url.URL
	if c.rec.UploadURL != "" {
		var err error
		if at, err = parseURL("stored upload URL", c.rec.UploadURL); err != nil {
			return err
		}
	}
	u.resumed = c.rec
	u.learn(func(s *status) {
		s.url, s.expires, s.kept = at, c.rec.Expires, c.rec.CreationHeader
		if !c.info.Expires.IsZero() {
			s.expires = c.info.Expires
		}
	})
	if len(c.rec.Parts) > 0 {
		p := u.planner.newParallel()
		u.begin(p) // Abort deletes the parts even if they cannot be resumed
		if err := p.resumeParts(c); err != nil {
			return err
		}
		u.changed()
		return u.retries.acknowledged(c.offset, 0, 0)
	}
	t := u.planner.newTransfer()
	t.restored, t.length.deferred = true, c.info.LengthDeferred
	t.learn(func(a *account) { a.url = at })
	t.enter(StateReady)
	t.counters.resumeAt(c.offset)
	u.begin(t)
	return t.acknowledge(c.offset)
}
