package tus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
)

// SourceChangedPolicy says what to do about a stored upload of a source that
// has another size by now. It matters only for fingerprints that do not cover
// the size: with those of package fingerprint a changed source is simply
// another one.
type SourceChangedPolicy int

const (
	// SourceChangedFail ends the upload with [ErrSourceChanged] and forgets the
	// stored one, so that the next attempt begins anew.
	SourceChangedFail SourceChangedPolicy = iota
	// SourceChangedRestart forgets the stored upload and begins a new one.
	SourceChangedRestart
)

// PreviousUploads returns what the client's store knows of unfinished uploads of
// source, the one that was worked on last first. Records on which an Uploader
// is at work now are among them, with their lease. opts, which may be nil,
// must be those of the upload, as its metadata or ResumeKey is part of what an
// upload is found by. One of the records can be chosen with
// [UploadOptions.Previous]; without that, an upload takes the one of which the
// server has most. No request is sent. Without a store there are none.
func (c *Client) PreviousUploads(ctx context.Context, source Source, opts *UploadOptions) ([]storage.Record, error) {
	u, err := c.NewUploader(source, opts)
	if err != nil || c.store == nil {
		return nil, err
	}
	if u.info, err = statSource(ctx, source); err != nil {
		return nil, err
	}
	key, err := u.resumeKey(ctx)
	if err != nil || key == "" {
		return nil, err
	}
	found, err := c.store.Find(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("tus: %w: find: %w", ErrStore, err)
	}
	return found, nil
}

// resumeKey is what the upload is stored and found by, empty for a source that
// cannot be recognised.
func (u *Uploader) resumeKey(ctx context.Context) (string, error) {
	if u.info.SizeUnknown {
		return "", nil // reading it to tell would use it up
	}
	print, err := u.fingerprint(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return "", contextError(ctx)
		}
		return "", shortSource(err, fingerprint.ErrSizeMismatch)
	}
	if print == "" {
		return "", fmt.Errorf("%w: empty fingerprint", ErrInvalidInput)
	}
	scope := u.client.resumeScope
	if scope == "" {
		scope = u.client.endpoint.String()
	}
	return fingerprint.Key(print, scope, u.ownKey), nil
}

// candidate is a stored upload that may be gone on with.
type candidate struct {
	rec     storage.Record
	claimed bool
	whole   bool    // the upload URL was asked for
	info    Info    // of it
	asked   int     // how many parts were asked for
	parts   []int64 // their offsets
	gone    int     // how many parts the server forgot
	offset  int64   // acknowledged in all
}

// lookup finds the uploads to go on with.
func (u *Uploader) lookup(ctx context.Context) ([]*candidate, error) {
	key, err := u.resumeKey(ctx)
	if err != nil {
		return nil, err
	}
	if previous := u.opts.Previous; previous != nil && previous.Fingerprint != key {
		return nil, fmt.Errorf("%w: the previous upload is not one of this source, as it is now, with these options: metadata, or ResumeKey, is part of what it is found by", ErrInvalidInput)
	}
	if key == "" {
		return nil, nil
	}
	u.key = key
	found, err := u.keeper.find(ctx, key)
	if err != nil {
		return nil, err
	}
	var candidates []*candidate
	for _, rec := range found {
		switch previous := u.opts.Previous; {
		case previous != nil && previous.ID != rec.ID, rec.UploadURL == "" && len(rec.Parts) == 0:
			continue
		case len(rec.Parts) > 0 && !tile(rec.Parts, rec.Size):
			u.keeper.remove(ctx, rec.ID) // would make other bytes of the source
			continue
		case len(rec.Parts) > 0 && u.opts.StopAt > 0:
			return nil, fmt.Errorf("%w: StopAt, but the stored upload is one of parallel parts", ErrInvalidInput)
		case rec.LengthDeferred || rec.Size == u.info.Size:
			candidates = append(candidates, &candidate{rec: rec})
			continue
		}
		u.keeper.remove(ctx, rec.ID)
		if u.opts.SourceChanged == SourceChangedFail {
			return nil, fmt.Errorf("%w: it had %d bytes when its upload began, now %d",
				ErrSourceChanged, rec.Size, u.info.Size)
		}
	}
	return candidates, nil
}

// locate is the step of StateLocating. Each asks for one upload URL; when none
// is left to ask for, the candidate of which the server has most is taken.
func (u *Uploader) locate(ctx context.Context) (State, error) {
	for len(u.candidates) > 0 {
		c := u.candidates[0]
		if !c.claimed {
			rec, ok, err := u.keeper.claim(ctx, c.rec)
			if err != nil {
				c.rec = rec
				return u.after(ctx, StateLocating, err), err
			}
			if !ok { // somebody else began to work on it
				u.candidates = u.candidates[1:]
				continue
			}
			c.rec, c.claimed = rec, true
		}
		target := c.next()
		if target == "" {
			u.candidates = u.candidates[1:]
			if u.best == nil || c.offset > u.best.offset {
				c, u.best = u.best, c
			}
			if c != nil {
				u.keeper.unclaim(ctx, c.rec)
			}
			continue
		}
		if err := u.ask(ctx, c, target); err != nil {
			return u.after(ctx, StateLocating, err), err
		}
		return StateLocating, nil
	}
	best, forgotten := u.best, u.forgotten
	u.best, u.forgotten = nil, false
	if best == nil {
		if forgotten {
			u.meter.update(func(s *Stats) { s.Recreations++ })
		}
		return StateIdle, nil
	}
	u.keeper.adopt(best.rec)
	switch err := u.keeper.renew(ctx); { // asking may have taken longer than the lease
	case errors.Is(err, ErrLeaseLost):
		u.keeper.adopt(storage.Record{})
		u.located = false
		return StateIdle, nil
	case err != nil: // it is given back when the upload is paused or fails
		best.rec = u.keeper.unadopt()
		u.best, u.forgotten = best, forgotten
		return u.after(ctx, StateLocating, err), err
	}
	u.meter.update(func(s *Stats) { s.Recreations += best.gone })
	if err := u.adopt(best); err != nil {
		return StateFailed, err
	}
	return StateReady, nil
}

// next is the URL to ask for, empty if the candidate is known.
func (c *candidate) next() string {
	if c.rec.UploadURL != "" && !c.whole {
		return c.rec.UploadURL
	}
	if c.whole && c.info.Complete() {
		return ""
	}
	for c.asked < len(c.rec.Parts) {
		if at := c.rec.Parts[c.asked].UploadURL; at != "" {
			return at
		}
		c.asked++
	}
	return ""
}

// ask asks the server for one URL of a candidate. What is gone, or is not what
// the record says, is dropped.
func (u *Uploader) ask(ctx context.Context, c *candidate, target string) error {
	var info Info
	at, err := parseURL("stored upload URL", target)
	unusable := err != nil
	if !unusable {
		info, err = u.client.head(ctx, at, u.hooks, u.meter)
	}
	gone := unusable || uploadGone(err)
	if err != nil && !gone {
		return err
	}
	parallel := len(c.rec.Parts) > 0
	switch {
	case !c.whole && c.rec.UploadURL != "":
		if gone || u.matches(info) != nil {
			if !parallel {
				u.forgotten = true
				u.discard(ctx, c)
				return nil
			}
			c.rec.UploadURL, c.rec.Concatenating = "", false // the parts may still be there
			return nil
		}
		c.whole, c.info = true, info
		if !parallel || info.Complete() {
			c.offset = info.Offset
		}
	default:
		return u.askedPart(ctx, c, info, gone)
	}
	return nil
}

// askedPart takes over what the server knows of a part.
func (u *Uploader) askedPart(ctx context.Context, c *candidate, info Info, gone bool) error {
	if c.parts == nil {
		c.parts = make([]int64, len(c.rec.Parts))
	}
	p := &c.rec.Parts[c.asked]
	if gone || info.LengthDeferred || info.Length != p.Size {
		c.gone++
		p.UploadURL = ""
	} else {
		c.parts[c.asked] = info.Offset
		c.offset += info.Offset
	}
	c.asked++
	if c.next() != "" || !c.rec.Concatenating || c.rec.UploadURL != "" {
		return nil
	}
	for _, p := range c.rec.Parts {
		if p.UploadURL != "" {
			return nil
		}
	}
	u.discard(ctx, c)
	return fmt.Errorf("%w: the final upload had been asked for, and now the parts are gone", ErrUnconfirmed)
}

// discard drops a candidate and its record.
func (u *Uploader) discard(ctx context.Context, c *candidate) {
	u.keeper.remove(ctx, c.rec.ID)
	u.candidates = u.candidates[1:]
}

// adopt goes on with a candidate.
func (u *Uploader) adopt(c *candidate) error {
	u.inline = false
	var at *url.URL
	if c.rec.UploadURL != "" {
		var err error
		if at, err = parseURL("stored upload URL", c.rec.UploadURL); err != nil {
			return err
		}
	}
	u.mu.Lock()
	u.url, u.expires = at, c.rec.Expires
	if !c.info.Expires.IsZero() {
		u.expires = c.info.Expires
	}
	u.mu.Unlock()
	if len(c.rec.Parts) > 0 {
		if c.parts == nil {
			c.parts = make([]int64, len(c.rec.Parts))
		}
		return u.adoptParts(c)
	}
	u.deferred, u.adopted = c.info.LengthDeferred, true
	u.resumedAt(c.offset)
	return u.acknowledge(c.offset)
}

// resumedAt notes that the server had offset bytes before this session.
func (u *Uploader) resumedAt(offset int64) {
	u.mu.Lock()
	gain := max(0, offset-u.highest) // there may have been one that had more, and is gone
	u.highest += gain
	u.mu.Unlock()
	u.meter.update(func(s *Stats) { s.ResumedFrom += gain })
	u.position.moved(0, gain)
}

// giveBack returns the candidates that were claimed.
func (u *Uploader) giveBack(ctx context.Context) {
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	if u.best != nil {
		u.candidates = append(u.candidates, u.best)
	}
	for _, c := range u.candidates {
		if c.claimed {
			u.keeper.unclaim(ctx, c.rec)
		}
	}
	u.candidates, u.best = nil, nil
}

// saveCreated stores a new upload before a byte is sent to it. It exists, so
// that is done even if ctx has ended meanwhile.
func (u *Uploader) saveCreated(ctx context.Context) error {
	if u.key == "" {
		return nil
	}
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	target, expires := u.URL(), u.expiry()
	return u.keeper.save(ctx, func(rec *storage.Record) {
		u.describe(rec)
		rec.UploadURL, rec.Expires = target, expires
	})
}

// describe fills in what a record tells about the source.
func (u *Uploader) describe(rec *storage.Record) {
	rec.Fingerprint = u.key
	rec.Endpoint = redactURL(u.client.endpoint)
	rec.Size = u.info.Size
	rec.Metadata = u.opts.Metadata
}

func (u *Uploader) expiry() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.expires
}

// expiresAt takes over a new Upload-Expires, if there is one.
func (u *Uploader) expiresAt(expires time.Time) {
	if expires.IsZero() {
		return
	}
	u.mu.Lock()
	u.expires = expires
	u.mu.Unlock()
	u.keeper.note(func(rec *storage.Record) { rec.Expires = expires })
}
