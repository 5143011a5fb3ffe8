package tus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
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
	// URL is the upload URL, empty for an upload in parallel parts. It may hold
	// secrets in its query; the error text leaves that out.
	URL string
	// Until is when the lease ends unless it is renewed.
	Until time.Time
	// Wait is how long to wait before the next [Uploader.Step], which looks again.
	// It is 0 with [HeldFail], where no Step follows.
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

// acquire takes the lease of a candidate. It returns false if the candidate is left
// to another Uploader, and a *HeldError as long as that is undecided.
func (u *Uploader) acquire(ctx context.Context, c *candidate) (bool, error) {
	if c.told { // it is waited for
		switch there, ok, err := u.record.reread(ctx, c.rec); {
		case errors.Is(err, errStoreFailed): // it is judged by what was read before
		case err != nil:
			return false, err
		case !ok:
			u.leave(c.rec, "its holder completed or discarded it")
			return false, nil
		default:
			c.rec = there
		}
	}
	for {
		if over, err := u.leaseOver(c); err != nil || !over {
			return false, err
		}
		if c.record == nil {
			c.record = u.record.open(c.rec)
		}
		switch err := c.record.acquire(ctx); {
		case errors.Is(err, ErrLeaseLost):
			c.record = nil
			there, ok, err := u.record.reread(ctx, c.rec)
			if err != nil && !errors.Is(err, errStoreFailed) {
				return false, err
			}
			if !ok || there.Revision == c.rec.Revision {
				u.leave(c.rec, "another uploader was faster")
				return false, nil
			}
			c.rec = there
		case err == nil && c.record.leased():
			return true, nil
		default: // the lease may be stored all the same, and nobody would find the upload until it ends
			c.record.release(ctx)
			if err == nil {
				u.leave(c.rec, "the store failed, so another uploader may hold it")
			}
			return false, err
		}
	}
}

// leaseOver reports whether nobody holds a candidate any more. If it is held, the
// policy decides between an error and leaving it to its holder.
func (u *Uploader) leaseOver(c *candidate) (bool, error) {
	now, lease := time.Now(), c.rec.Lease
	unchanged := lease != nil && c.lease != nil && lease.Holder == c.lease.Holder && lease.Until.Equal(c.lease.Until)
	waited := now.Sub(c.found) >= leaseTime // a holder that lives would have renewed it by any clock
	if !leaseRuns(lease, now) || lease.Holder == u.record.holder.Holder || unchanged && waited {
		return true, nil
	}
	policy := u.opts.Held
	lives := !unchanged || processLives(lease.Process)
	if u.best != nil || policy == HeldWait && lives {
		policy = HeldBegin
	}
	var wait time.Duration
	if policy == HeldWait {
		wait = min(lease.Until.Sub(now), c.found.Add(leaseTime).Sub(now))
	}
	if !c.told {
		c.told = true
		u.hooks.held(HeldEvent{Name: u.status().info.Name, URL: c.rec.UploadURL, Until: lease.Until, Wait: wait})
	}
	if policy != HeldBegin {
		return false, &HeldError{URL: c.rec.UploadURL, Until: lease.Until, Wait: min(wait, heldPoll), shown: u.client.showURL(c.rec.UploadURL)}
	}
	u.leave(c.rec, "another uploader holds it until "+lease.Until.UTC().Format(time.RFC3339))
	return false, nil
}

// leave notes that a stored upload is left to another Uploader.
func (u *Uploader) leave(rec storage.Record, reason string) {
	u.counters.update(func(s *Stats) { s.Held++ })
	u.notResumed(rec, reason)
}

// discard removes the record of a stored upload that cannot be resumed.
func (u *Uploader) discard(ctx context.Context, r *record, rec storage.Record, reason string) {
	r.drop(ctx)
	u.discarded(rec, reason)
}

// discarded notes that a stored upload cannot be resumed.
func (u *Uploader) discarded(rec storage.Record, reason string) {
	u.counters.update(func(s *Stats) { s.Discarded++ })
	u.notResumed(rec, reason)
}

// notResumed logs why a stored upload is not resumed, and keeps the reason until it is
// known whether another one is, or the upload starts over.
func (u *Uploader) notResumed(rec storage.Record, reason string) {
	u.unresumed = append(u.unresumed, reason)
	u.warn("tus stored upload not resumed", slog.String("reason", reason), slog.String("url", u.client.showURL(rec.UploadURL)))
}

// startingOver logs that an upload begins from zero although some were stored.
func (u *Uploader) startingOver() {
	if len(u.unresumed) > 0 {
		u.warn("tus starting over: " + strings.Join(u.unresumed, "; "))
		u.unresumed = nil
	}
}

func (u *Uploader) warn(text string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("name", u.status().info.Name)}, attrs...)
	u.client.log.LogAttrs(u.turn.context(), slog.LevelWarn, text, attrs...)
}
