package tus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// HeldPolicy controls an upload when another [Uploader] holds a stored upload of its source
// (see [storage.Lease]). It applies to stores that several processes share, and to several
// Uploaders of one source in a process.
//
// Unless the policy is HeldBegin, the record of a new upload is stored before the upload is
// created. If several Uploaders start at the same time, one creates the upload, and it is
// held for the others. If the holder crashes before it has the upload URL, the record is
// valid until the lease ends. With HeldWait and without [Options.RememberCompleted], a source
// that is sent in the request that creates its upload is not stored before that request.
type HeldPolicy int

const (
	// HeldWait waits until the holder releases the stored upload or its lease ends without
	// renewal, at most a minute, and then resumes it. If the holder is running (in this
	// process, in another one of the same host, boot and namespace, or because it renews
	// its lease), HeldWait starts a second upload instead. With [Options.RememberCompleted]
	// and without Again, it also waits for a running holder, however long that takes: when
	// the holder has completed the upload, nothing is left to do ([Result.AlreadyComplete]).
	HeldWait HeldPolicy = iota
	// HeldFail ends the upload with a [*HeldError].
	HeldFail
	// HeldBegin starts a second upload at once.
	HeldBegin
)

// heldPoll is the time between two reads of a record during HeldWait.
const heldPoll = time.Second

// HeldError is returned when another [Uploader] holds the stored upload, with [HeldFail],
// and by [Uploader.Step] while [HeldWait] waits.
type HeldError struct {
	// Until is when the lease ends unless it is renewed.
	Until time.Time
	// Wait is the maximum remaining wait for the release unless the lease is renewed, 0 if
	// the upload does not wait. Run reads the record every second; a caller of
	// [Uploader.Step] should do the same.
	Wait time.Duration

	url   string // of the upload, with secrets in its query; empty for parts
	shown string // url without secrets, or why there is none
}

// Error returns Until and the upload URL without user, password and query.
func (e *HeldError) Error() string {
	return fmt.Sprintf("tus: stored upload is held by another uploader until %s: %s", e.Until.UTC().Format(time.RFC3339), e.shown)
}

// heldForNow reports whether err is a *HeldError of an upload that waits.
func heldForNow(err error) bool {
	var held *HeldError
	return errors.As(err, &held) && held.Wait > 0 && !isHookError(err) && !errors.Is(err, errSource)
}

// acquire leases a candidate, unless its holder has completed it. It returns false if the
// candidate is not resumed, and a *HeldError while the upload waits for it.
func (f *finder) acquire(ctx context.Context, c *candidate) (bool, error) {
	if c.held {
		if ok, err := f.reread(ctx, c); err != nil || !ok {
			if err == nil {
				f.leave(ctx, c.rec, "its holder completed or discarded it")
			}
			return false, err
		}
	}
	for {
		if completed(c.rec) {
			return true, nil
		}
		if over, err := f.leaseOver(ctx, c); err != nil || !over {
			return false, err
		}
		if !named(c.rec) { // its holder crashed before it had the URL
			f.discard(ctx, c.rec, f.records.open(c.rec), noUploadURL)
			return false, nil
		}
		if c.record == nil {
			c.record = f.records.open(c.rec)
		}
		err := c.record.acquire(ctx)
		if !errors.Is(err, ErrLeaseLost) {
			return f.acquired(ctx, c, err)
		}
		c.record = nil
		revision := c.rec.Revision
		if ok, err := f.reread(ctx, c); err != nil {
			return false, err
		} else if !ok || c.rec.Revision == revision {
			f.leaveTo(ctx, c.rec, "another uploader was faster")
			return false, nil
		}
	}
}

// reread reads the record of a candidate again. It returns false if there is none. If the
// store fails, the candidate stays unchanged.
func (f *finder) reread(ctx context.Context, c *candidate) (bool, error) {
	there, ok, err := f.records.reread(ctx, c.rec)
	switch {
	case errors.Is(err, errStoreFailed):
		return true, nil
	case err != nil || !ok:
		return false, err
	}
	c.rec = there
	return true, nil
}

// acquired reports whether a candidate is leased, after an attempt without a conflict. It
// releases the record after a failed attempt, which may have stored the lease nevertheless.
func (f *finder) acquired(ctx context.Context, c *candidate, err error) (bool, error) {
	if err == nil && c.record.leased() {
		return true, nil
	}
	c.record.release(ctx)
	if err == nil {
		f.leaveTo(ctx, c.rec, "the store failed, so another uploader may hold it")
	}
	return false, err
}

// leaseOver reports whether a candidate is no longer held. If it is held, it returns an
// error or leaves the candidate to the holder, by the policy.
func (f *finder) leaseOver(ctx context.Context, c *candidate) (bool, error) {
	now, lease := f.records.clock.earliest(), c.rec.Lease
	unchanged := lease != nil && c.lease != nil && lease.Holder == c.lease.Holder && lease.Until.Equal(c.lease.Until)
	expired := unchanged && time.Since(c.seen) >= maxLease // whatever the clock of the holder
	if !leaseRuns(lease, now) || lease.Holder == f.records.holder.Holder || expired {
		return true, nil
	}
	policy, wait := f.heldPolicy(c, !unchanged, now)
	held := &HeldError{Until: lease.Until, Wait: wait, url: c.rec.UploadURL, shown: f.place(c.rec)}
	if !c.held {
		c.held = true
		f.hooks.held(held)
	}
	if policy != HeldBegin || f.only {
		return false, held
	}
	f.leaveTo(ctx, c.rec, "another uploader holds it until "+lease.Until.UTC().Format(time.RFC3339))
	return false, nil
}

// heldPolicy returns how to treat a candidate that is held, and how long HeldWait waits. A
// running holder is waited for only if its completed upload ends this one.
func (f *finder) heldPolicy(c *candidate, renewed bool, now time.Time) (HeldPolicy, time.Duration) {
	lease := c.rec.Lease
	switch {
	case f.best != nil:
		return HeldBegin, 0
	case f.opts.Held != HeldWait:
		return f.opts.Held, 0
	case renewed && f.remembers():
		c.seen, c.lease = time.Now(), lease
	case !f.remembers() && (renewed || livenessOf(lease.Process) == livenessAlive):
		return HeldBegin, 0
	}
	return HeldWait, min(lease.Until.Sub(now), time.Until(c.seen.Add(maxLease)))
}

// place returns the upload URL of a record without secrets, or why there is none.
func (f *finder) place(rec storage.Record) string {
	switch {
	case rec.UploadURL != "":
		return f.showURL(rec.UploadURL)
	case len(rec.Parts) > 0:
		return "in parts"
	}
	return "not created yet"
}

// reserves reports whether an upload is stored before it is created. One request is not worth
// that, unless it must not be repeated.
func (f *finder) reserves(work delivery) bool {
	return f != nil && (f.opts.Held == HeldFail || f.client.opts.RememberCompleted > 0 || !work.inOneRequest())
}

// reserve returns the record of a new upload. It is stored before the upload is created, so
// that Uploaders that start at the same time find it. It returns nil if another Uploader was
// faster: its record is then a candidate.
func (f *finder) reserve(ctx context.Context) (*record, error) {
	if f.opts.Held == HeldBegin || f.left { // another upload exists anyway
		return f.records.open(storage.Record{}), nil
	}
	const attempts = 3 // the other record may be gone when it is read
	for range attempts {
		if f.reserved == nil {
			f.reserved = f.reservation()
		}
		err := f.reserved.acquire(ctx)
		if !errors.Is(err, ErrLeaseLost) {
			return f.reserved, err
		}
		f.reserved = nil
		there, ok, err := f.records.reread(ctx, f.reservation().rec)
		switch now := f.records.clock.earliest(); {
		case errors.Is(err, errStoreFailed):
			return f.records.open(storage.Record{}), nil
		case err != nil:
			return nil, err
		case ok && named(there) && !completed(there) && !leaseRuns(there.Lease, now):
			if f.looked[there.ID] { // it was not resumed
				return f.records.open(storage.Record{}), nil
			}
			f.decided = false // it was stored and released meanwhile
			return nil, f.look(ctx)
		case ok:
			f.candidates, f.decided = append(f.candidates, newCandidate(there, time.Now())), false
			return nil, nil
		}
	}
	return f.records.open(storage.Record{}), nil
}

// reservation returns the record of a new upload. It has another ID than the completed
// uploads that it replaces, also those that were found by a conflict with an earlier
// reservation.
func (f *finder) reservation() *record {
	over := ""
	if n := len(f.replaced); n > 0 {
		over = f.replaced[n-1].ID
	}
	return f.records.reserve(over)
}
