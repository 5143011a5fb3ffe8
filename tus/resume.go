package tus

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// lookup reads the stored uploads of the source, again only if the source has changed.
func (u *Uploader) lookup(ctx context.Context) error {
	if u.record == nil || u.finder != nil && u.finder.source.changed(u.planner.info) == nil {
		return nil
	}
	u.finder, u.record.source = nil, storage.Record{}
	key, err := u.planner.resumeKey(ctx)
	if err != nil {
		return err
	}
	if u.token != nil {
		if u.opts.Previous, err = u.token.importAs(ctx, key); err != nil {
			return err
		}
		key = u.opts.Previous.key
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
	f := &finder{requester: u.requester, records: u.record.records, source: u.planner.info, opts: &u.opts, ownKey: u.planner.ownKey, retries: &u.retries, only: u.token != nil}
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
		next, err := u.failed(ctx, err)
		if next == StateFailed && u.startsOver(ctx, err) {
			return StateLocating, nil
		}
		return next, err
	case chosen != nil && completed(chosen.rec):
		// The source may have changed during the wait for its holder, or for the server.
		if err := u.planner.chunks.verify(ctx); err != nil {
			u.finder = nil
			return u.retries.after(ctx, StateIdle, err), err
		}
		return u.resume(ctx, chosen)
	case chosen != nil:
		u.digest.restore(chosen.rec.Digest)
		u.setRecord(chosen.record)
		return u.resume(ctx, chosen)
	case u.finder.decided:
		return StateIdle, nil
	}
	return StateLocating, nil
}

// resume resumes a stored upload. Nothing is left to do for one that is completed.
func (u *Uploader) resume(ctx context.Context, c *candidate) (State, error) {
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
		s.later = storage.Record{Parts: c.rec.Parts, Finishing: c.rec.Finishing, Refusal: c.rec.Refusal}
		if !c.info.Expires.IsZero() {
			s.expires = c.info.Expires
		}
		if s.recalled = completed(c.rec); s.recalled && u.digest.isOf(c.rec.Digest) {
			s.digest = c.rec.Digest
		}
	})
	u.warnLimit(ctx, u.Name(), u.planner.sizer.resume(c.rec, c.offset))
	if len(c.rec.Parts) > 0 {
		p := u.planner.newParallel()
		u.setWork(p) // Abort deletes the parts even if they cannot be resumed
		if err := p.resumeParts(c); err != nil {
			return StateFailed, err
		}
		u.hooks.resumed(c.resumed(time.Time{})...)
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
	u.hooks.resumed(c.resumed(u.status().expires)...)
	return afterResume(t.current(), t.acknowledge(c.offset))
}

// resumed returns the uploads on the server that are resumed with c, none if it is completed.
func (c *candidate) resumed(expires time.Time) (all []Resumed) {
	add := func(raw string, r Resumed) {
		if at, err := parseURL("stored upload URL", raw); err == nil { // it may be spelled differently
			r.URL = at.String()
			all = append(all, r)
		}
	}
	switch {
	case completed(c.rec):
	case c.rec.UploadURL != "" && len(c.rec.Parts) > 0:
		add(c.rec.UploadURL, Resumed{Offset: c.offset, Expires: expires, Concat: concatFinal})
	case c.rec.UploadURL != "":
		add(c.rec.UploadURL, Resumed{Offset: c.offset, Expires: expires, Concat: c.info.Concat})
	default:
		for i, part := range c.rec.Parts {
			if part.UploadURL != "" {
				add(part.UploadURL, Resumed{Offset: c.parts[i], Concat: concatPartial})
			}
		}
	}
	return all
}

// afterResume returns the state that follows a resumption, which fails at most for good.
func afterResume(next State, err error) (State, error) {
	if err != nil {
		return StateFailed, err
	}
	return next, nil
}
