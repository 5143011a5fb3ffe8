package tus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
	"github.com/seed-175555ba/tus-go/tus/internal/recordkey"
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
	if u.known.info, err = statSource(ctx, source, c.sourceTimeout); err != nil {
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
	if u.status().info.SizeUnknown {
		return "", nil // reading it to tell would use it up
	}
	print, err := u.fingerprint(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return "", async.ContextError(ctx)
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
	return recordkey.New(print, scope, u.ownKey), nil
}

// candidate is a stored upload that may be gone on with.
type candidate struct {
	rec    storage.Record
	record *record        // leased; nil means not yet
	found  time.Time      // when rec was found …
	lease  *storage.Lease // … and its lease by then
	told   bool           // that it is held
	whole  bool           // the upload URL was asked for
	info   Info           // of it
	asked  int            // how many parts were asked for
	parts  []int64        // their offsets
	gone   int            // how many parts the server forgot
	offset int64          // acknowledged in all
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
	u.record.source = storage.Record{
		Fingerprint: key, Endpoint: httpx.RedactURL(u.client.endpoint),
		Size: u.status().info.Size, Metadata: u.opts.Metadata,
	}
	found, err := u.record.find(ctx)
	if err != nil {
		return nil, err
	}
	if previous := u.opts.Previous; previous != nil {
		rec, ok := withID(found, previous.ID)
		if found = []storage.Record{rec}; !ok {
			found = nil
			u.discarded(*previous, "it is no longer stored")
		}
	}
	now := time.Now()
	var free, held []*candidate
	for _, rec := range found {
		parallel, runs := len(rec.Parts) > 0, leaseRuns(rec.Lease, now)
		reason := u.unusable(rec)
		switch {
		case reason == "" && runs:
			held = append(held, &candidate{rec: rec, found: now, lease: rec.Lease})
		case reason == "" && parallel && u.opts.StopAt > 0:
			return nil, fmt.Errorf("%w: StopAt, but the stored upload is one of parallel parts", ErrInvalidInput)
		case reason == "":
			free = append(free, &candidate{rec: rec, found: now, lease: rec.Lease})
		case runs:
			u.leave(rec, reason)
		default:
			u.discard(ctx, u.record.open(rec), rec, reason)
			if !u.sizeFits(rec) && u.opts.SourceChanged == SourceChangedFail {
				return nil, fmt.Errorf("%w: it had %d bytes when its upload began, now %d",
					ErrSourceChanged, rec.Size, u.status().info.Size)
			}
		}
	}
	return append(free, held...), nil
}

// unusable is why a record can never be resumed with this source, empty if it may.
func (u *Uploader) unusable(rec storage.Record) string {
	switch {
	case rec.UploadURL == "" && len(rec.Parts) == 0:
		return "its record has no upload URL"
	case len(rec.Parts) > 0 && !tile(rec): // would make other bytes of the source
		return "its parts do not cover the source"
	case !u.sizeFits(rec):
		return fmt.Sprintf("it has %d bytes, the source has %d", rec.Size, u.status().info.Size)
	case rec.Seal != "" && rec.Seal != sealOf(rec):
		return "its upload URL is not the one that was stored with it"
	}
	return ""
}

func (u *Uploader) sizeFits(rec storage.Record) bool {
	return rec.LengthDeferred || rec.Size == u.status().info.Size
}

// locate is the step of StateLocating. Each asks for one upload URL; when none
// is left to ask for, the candidate of which the server has most is taken.
func (u *Uploader) locate(ctx context.Context) (State, error) {
	for len(u.candidates) > 0 {
		c := u.candidates[0]
		if c.record == nil || !c.record.leased() {
			switch ok, err := u.acquire(ctx, c); {
			case heldForNow(err):
				return StateLocating, err
			case err != nil:
				return u.failed(ctx, err)
			case !ok:
				u.candidates = u.candidates[1:]
				continue
			}
		}
		target := c.next()
		if target == "" {
			u.candidates = u.candidates[1:]
			if u.best == nil || c.offset > u.best.offset {
				c, u.best = u.best, c
			}
			if c != nil {
				c.record.release(ctx)
			}
			continue
		}
		if err := u.ask(ctx, c, target); err != nil {
			return u.failed(ctx, err)
		}
		return StateLocating, nil
	}
	best, forgotten := u.best, u.forgotten
	u.best, u.forgotten = nil, false
	if best == nil {
		if forgotten {
			u.counters.update(func(s *Stats) { s.Recreations++ })
		}
		return StateIdle, nil
	}
	err := best.record.renew(ctx) // asking may have taken longer than the lease
	if err == nil && len(best.rec.Parts) == 0 && !best.info.Complete() {
		err = saveEnd(ctx, best.record, notComplete)
	}
	switch {
	case errors.Is(err, ErrLeaseLost):
		u.located = false
		return StateIdle, nil
	case err != nil: // it is released when the upload is paused or fails
		u.best, u.forgotten = best, forgotten
		return u.failed(ctx, err)
	}
	u.setRecord(best.record)
	u.counters.update(func(s *Stats) { s.Recreations += best.gone })
	if err := u.adopt(best); err != nil {
		return StateFailed, err
	}
	return StateReady, nil
}

// ofStored adds to a refusal by the server which stored upload it is about: every later
// session would end with it, too. A 401 is about the credentials, and an upload that is
// gone, or may be complete, is not helped by starting over.
func (u *Uploader) ofStored(err error) error {
	rec := u.resumed
	if u.State() == StateLocating && len(u.candidates) > 0 {
		rec = u.candidates[0].rec
	}
	var e *Error
	if rec.ID == "" || !errors.As(err, &e) || e.StatusCode < 400 || unauthorized(err) ||
		ofHook(err) || errors.Is(err, errSource) || errors.Is(err, ErrUploadGone) || errors.Is(err, ErrUnconfirmed) {
		return err
	}
	return &StoredError{ID: rec.ID, created: rec.Created, acknowledged: u.Offset(), refusal: err}
}

// next is the URL to ask for, empty if the candidate is known.
func (c *candidate) next() string {
	if c.rec.UploadURL != "" && !c.whole {
		return c.rec.UploadURL
	}
	if c.whole { // a final upload has the bytes of its parts
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
	reason := ""
	at, err := parseURL("stored upload URL", target)
	if err == nil {
		info, err = u.head(ctx, at)
		err = u.absence.confirm(ctx, u.requester, at, err, &u.retries.budget)
		if uploadGone(err) && c.rec.Finishing && target == c.rec.UploadURL {
			err = withCause(err, errGoneAtEnd)
		}
	} else {
		reason = "its upload URL is unusable"
	}
	switch {
	case uploadGone(err):
		reason = "the server no longer has it"
		u.retries.reset(0) // the retries were spent on what is gone
	case err != nil && reason == "":
		return err
	}
	whole, parallel := !c.whole && c.rec.UploadURL != "", len(c.rec.Parts) > 0
	if !whole {
		return u.askedPart(ctx, c, info, reason)
	}
	if reason == "" {
		if !u.opts.DeferLength {
			info = info.withLength(c.rec.Size)
		}
		reason = u.mismatch(c.rec, info)
	}
	switch {
	case reason == "" && info.Complete() && c.rec.Refusal != "":
		return fmt.Errorf("%w: an earlier session was refused the last bytes with %s", ErrUnconfirmed, c.rec.Refusal)
	case reason == "":
		c.whole, c.info, c.offset = true, info, info.Offset
		if parallel {
			c.offset = u.status().info.Size
		}
	case c.rec.Finishing:
		return fmt.Errorf("%w: %s", errGoneAtEnd, reason)
	default:
		u.forgotten = true
		u.discard(ctx, c.record, c.rec, reason)
		u.candidates = u.candidates[1:]
		u.absence = absence{}
	}
	return nil
}

// mismatch is why the upload on the server is not the one of a record, empty if it
// may be. Servers need not return metadata, and may add some, so only a key counts
// that has another value now.
func (u *Uploader) mismatch(rec storage.Record, info Info) string {
	if err := u.status().info.matches(info); err != nil {
		return err.Error()
	}
	if len(rec.Parts) == 0 && info.Concat != ConcatNone {
		return "the server has a part or a final upload there"
	}
	sent := Metadata(rec.Metadata)
	if u.ownKey == u.opts.Metadata.String() { // then the metadata are in the resume key
		sent = u.opts.Metadata
	}
	for _, key := range slices.Sorted(maps.Keys(sent)) {
		if value := info.Metadata[key]; value != "" && value != sent[key] {
			return fmt.Sprintf("metadata %q on the server are those of another upload", key)
		}
	}
	return ""
}

// askedPart takes over what the server knows of a part, unless there is a reason not
// to use it.
func (u *Uploader) askedPart(ctx context.Context, c *candidate, info Info, reason string) error {
	if c.parts == nil {
		c.parts = make([]int64, len(c.rec.Parts))
	}
	p := &c.rec.Parts[c.asked]
	if reason == "" {
		info = info.withLength(p.Size)
	}
	if reason == "" && (info.LengthDeferred || info.Length != p.Size) {
		reason = "the server has another length"
	} else if reason == "" && info.Concat == ConcatFinal {
		reason = "the server has a final upload there"
	}
	if reason != "" {
		c.gone++
		p.UploadURL = ""
		u.warn(fmt.Sprintf("tus starting over: part at offset %d: %s", p.Offset, reason))
	} else {
		c.parts[c.asked] = info.Offset
		c.offset += info.Offset
	}
	c.asked++
	if c.next() != "" || !c.rec.Finishing {
		return nil
	}
	for _, p := range c.rec.Parts {
		if p.UploadURL != "" {
			return nil
		}
	}
	return fmt.Errorf("%w: the final upload had been asked for, and now the parts are gone", ErrUnconfirmed)
}

// adopt resumes a candidate.
func (u *Uploader) adopt(c *candidate) error {
	var at *url.URL
	if c.rec.UploadURL != "" {
		var err error
		if at, err = parseURL("stored upload URL", c.rec.UploadURL); err != nil {
			return err
		}
	}
	u.unresumed, u.resumed = nil, c.rec
	u.learn(func(s *status) {
		s.url, s.expires, s.kept = at, c.rec.Expires, c.rec.CreationHeader
		if !c.info.Expires.IsZero() {
			s.expires = c.info.Expires
		}
	})
	if len(c.rec.Parts) > 0 {
		p := u.planner.newParallel()
		if err := p.resumeParts(c); err != nil {
			return err
		}
		u.begin(p)
		u.changed()
		return u.retries.acknowledged(c.offset, 0, 0)
	}
	t := u.planner.newTransfer()
	t.adopted, t.length.deferred = true, c.info.LengthDeferred
	t.learn(func(a *account) { a.url = at })
	t.enter(StateReady)
	t.counters.resumeAt(c.offset)
	u.begin(t)
	return t.acknowledge(c.offset)
}

// giveBack returns the candidates that were claimed.
func (u *Uploader) giveBack(ctx context.Context) {
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	if u.best != nil {
		u.candidates = append(u.candidates, u.best)
	}
	for _, c := range u.candidates {
		c.record.release(ctx)
	}
	u.candidates, u.best = nil, nil
}

// setRecord replaces the record of the upload.
func (u *Uploader) setRecord(r *record) {
	u.mu.Lock()
	u.record = r
	u.mu.Unlock()
}

// currentRecord is for goroutines other than the one that drives.
func (u *Uploader) currentRecord() *record {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.record
}

// save stores the upload as it is now. It exists, so that is done even if ctx has ended.
func (u *Uploader) save(ctx context.Context) error {
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	u.refresh()
	known := u.status()
	return u.record.save(ctx, func(rec *storage.Record) {
		rec.UploadURL = ""
		if known.url != nil {
			rec.UploadURL = known.url.String()
		}
		rec.Expires, rec.CreationHeader = known.expires, known.kept
		u.work.describe(rec)
	})
}

// finishing stores that the request which completes the upload may be sent from now on.
func (u *Uploader) finishing(ctx context.Context) error {
	err := saveEnd(ctx, u.record, func(rec *storage.Record) { rec.Finishing = true })
	if errors.Is(err, ErrLeaseLost) {
		u.turn.interrupt(err)
	}
	return err
}

// note is save without haste.
func (u *Uploader) note() { u.record.saveLazily(u.work.describe) }

// confirm makes sure that no other Uploader has the lease of the upload.
func (u *Uploader) confirm(ctx context.Context) error { return u.record.confirm(ctx) }

// notComplete says that the server lacks bytes of the upload.
func notComplete(rec *storage.Record) { rec.Finishing, rec.Refusal = false, "" }

// saveEnd stores what is known of the last byte. The bytes wait for it, so a store that
// does not respond is given up soon.
func saveEnd(ctx context.Context, r *record, change func(*storage.Record)) error {
	if !r.stored() { // storing it failed; where that is made up for, it says so
		r.saveLazily(change)
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, storeTimeout, errStoreTimeout)
	defer cancel()
	return r.save(ctx, change)
}

// contends reports whether the server refused a request for another one.
func contends(err error) bool { return verdictOf(err).contended && IsRetryable(err) }
