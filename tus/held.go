package tus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// HeldPolicy says what an upload does about a stored upload of its source that
// another [Uploader] holds (see [storage.Lease]). It matters for stores that
// several processes share, and for several Uploaders of one source in a process.
type HeldPolicy int

const (
	// HeldWait waits until the holder releases the stored upload, or until its lease
	// ends without having been renewed, at most a minute in all, and then resumes it.
	// A holder that is known to live is not waited for: it is in this process, in one
	// of this very host, boot and namespace, or it renewed its lease meanwhile. Then
	// a second upload begins.
	HeldWait HeldPolicy = iota
	// HeldFail ends the upload with a [*HeldError].
	HeldFail
	// HeldBegin begins a second upload at once.
	HeldBegin
)

// heldPoll is the time between two looks at a record that is waited for.
const heldPoll = time.Second

// HeldError is returned when another [Uploader] holds the stored upload, with [HeldFail],
// and by [Uploader.Step] while [HeldWait] waits.
type HeldError struct {
	// URL is the upload URL, empty for an upload in parallel parts. It may contain
	// secrets in its query, which the error text leaves out.
	URL string
	// Until is when the lease ends unless it is renewed.
	Until time.Time
	// Wait is how long the upload still waits for the release at most, 0 if it does not
	// wait. Run reads the record every second; so should the caller of [Uploader.Step].
	Wait time.Duration

	shown string // URL without secrets
}

// Error names the upload URL, without user, password and query, and Until.
func (e *HeldError) Error() string {
	at := e.shown
	if at == "" {
		at = "in parts"
	}
	return fmt.Sprintf("tus: stored upload is held by another uploader until %s: %s", e.Until.UTC().Format(time.RFC3339), at)
}

// heldForNow reports whether err says that a stored upload is waited for.
func heldForNow(err error) bool {
	var held *HeldError
	return errors.As(err, &held) && held.Wait > 0 && !ofHook(err) && !errors.Is(err, errSource)
}

// acquire leases a candidate. It returns false if the candidate is left to another
// Uploader, and a *HeldError as long as that is not decided.
func (f *finder) acquire(ctx context.Context, c *candidate) (bool, error) {
	if c.told { // it is waited for
		switch there, ok, err := f.records.reread(ctx, c.rec); {
		case errors.Is(err, errStoreFailed): // it is judged by what was read before
		case err != nil:
			return false, err
		case !ok:
			f.leave(ctx, c.rec, "its holder completed or discarded it")
			return false, nil
		default:
			c.rec = there
		}
	}
	for {
		if over, err := f.leaseOver(ctx, c); err != nil || !over {
			return false, err
		}
		if c.record == nil {
			c.record = f.records.open(c.rec)
		}
		switch err := c.record.acquire(ctx); {
		case errors.Is(err, ErrLeaseLost):
			c.record = nil
			there, ok, err := f.records.reread(ctx, c.rec)
			if err != nil && !errors.Is(err, errStoreFailed) {
				return false, err
			}
			if !ok || there.Revision == c.rec.Revision {
				f.leave(ctx, c.rec, "another uploader was faster")
				return false, nil
			}
			c.rec = there
		case err == nil && c.record.leased():
			return true, nil
		default: // the lease may be stored nevertheless, and nobody would find the upload until it ends
			c.record.release(ctx)
			if err == nil {
				f.leave(ctx, c.rec, "the store failed, so another uploader may hold it")
			}
			return false, err
		}
	}
}

// leaseOver reports whether a candidate is held no longer. If it is held, the policy
// decides between an error and leaving it to its holder.
func (f *finder) leaseOver(ctx context.Context, c *candidate) (bool, error) {
	now, lease := time.Now(), c.rec.Lease
	unchanged := lease != nil && c.lease != nil && lease.Holder == c.lease.Holder && lease.Until.Equal(c.lease.Until)
	waited := now.Sub(c.seen) >= leaseTime // a holder that lives would have renewed it by any clock
	if !leaseRuns(lease, now) || lease.Holder == f.records.holder.Holder || unchanged && waited {
		return true, nil
	}
	policy := f.opts.Held
	lives := !unchanged || processLives(lease.Process)
	if f.best != nil || policy == HeldWait && lives {
		policy = HeldBegin
	}
	var wait time.Duration
	if policy == HeldWait {
		wait = min(lease.Until.Sub(now), c.seen.Add(leaseTime).Sub(now))
	}
	held := &HeldError{URL: c.rec.UploadURL, Until: lease.Until, Wait: wait, shown: f.client.showURL(c.rec.UploadURL)}
	if !c.told {
		c.told = true
		f.hooks.held(held)
	}
	if policy != HeldBegin {
		return false, held
	}
	f.leave(ctx, c.rec, "another uploader holds it until "+lease.Until.UTC().Format(time.RFC3339))
	return false, nil
}
