package tus

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// completed reports whether a record is that of a completed upload.
func completed(rec storage.Record) bool { return !rec.Completed.IsZero() }

// outdated reports whether the record of a completed upload is no longer used.
func outdated(rec storage.Record, now time.Time) bool {
	return completed(rec) && !rec.Expires.IsZero() && !rec.Expires.After(now)
}

// remembers reports whether any completed upload of the source ends this one.
func (f *finder) remembers() bool { return f.client.opts.RememberCompleted > 0 && !f.opts.Again }

// recalls reports whether a completed upload ends this one, unless a HEAD shows that it is
// gone. It deletes a record that has expired or does not match the source.
func (f *finder) recalls(ctx context.Context, rec storage.Record) bool {
	reason := f.unusable(rec)
	switch {
	case outdated(rec, time.Now()):
		f.records.open(rec).drop(ctx)
	case !f.remembers() && f.opts.Previous == nil:
	case reason != "":
		f.discard(ctx, rec, f.records.open(rec), reason)
	default:
		return true
	}
	f.replaced = append(f.replaced, rec)
	return false
}

// recalled returns the completed upload that is decided on next, nil if there is none.
func (f *finder) recalled() *candidate {
	if f == nil || len(f.candidates) == 0 || !completed(f.candidates[0].rec) {
		return nil
	}
	return f.candidates[0]
}

// verifies reports whether a completed upload is requested from the server. One without a
// URL cannot be.
func (f *finder) verifies(c *candidate) bool {
	return f.client.opts.VerifyCompleted && c.rec.UploadURL != ""
}

// recall returns the first candidate, which is completed, if it ends this upload.
func (f *finder) recall(ctx context.Context) (*candidate, error) {
	c := f.candidates[0]
	if !f.verifies(c) {
		return f.chooseCompleted(ctx), nil
	}
	info, reason, err := f.head(ctx, c, c.rec.UploadURL)
	if err != nil {
		return nil, err
	}
	if reason == "" {
		info = info.withLength(c.rec.Size)
		reason = f.mismatch(c.rec, info)
	}
	switch {
	case reason != "":
		f.dropFirst(ctx, f.records.open(c.rec), reason)
	case info.Complete():
		return f.chooseCompleted(ctx), nil
	case info.Concat == concatFinal: // bytes go to its parts, which the record does not have
		at, err := parseURL("stored upload URL", c.rec.UploadURL)
		if err != nil {
			return nil, err
		}
		return nil, f.headError(at, info, fmt.Errorf("%w: offset %d", errStillConcatenating, info.Offset))
	default: // the server lost bytes, and the upload is resumed
		c.rec.Completed, c.rec.Expires = time.Time{}, info.Expires
	}
	return nil, nil
}

// chooseCompleted decides on the first candidate, which is completed.
func (f *finder) chooseCompleted(ctx context.Context) *candidate {
	c := f.candidates[0]
	c.offset, c.rec.Expires = f.source.Size, time.Time{}
	f.release(ctx)
	f.decided = true
	f.client.opts.Logger.LogAttrs(ctx, slog.LevelInfo, "tus already complete", slog.String("name", f.source.Name),
		slog.String("url", f.showURL(c.rec.UploadURL)), slog.Time("completed", c.rec.Completed))
	return c
}

// conclude deletes the record of the upload, which is complete, or stores that it is. A
// failure of the store is only reported: after an error, a caller would upload again.
func (u *Uploader) conclude(ctx context.Context) {
	lasts, known := u.client.opts.RememberCompleted, u.status()
	if lasts == 0 {
		u.record.drop(ctx)
		return
	}
	stored := u.record.keep(ctx, func(rec *storage.Record, now time.Time) {
		rec.UploadURL, rec.Size, rec.CreationHeader = u.URL(), known.info.Size, known.kept
		rec.Updated, rec.Completed, rec.Expires = now, now, now.Add(lasts)
		rec.Parts, rec.Finishing, rec.Refusal, rec.Digest = nil, false, "", known.digest
	})
	if stored {
		for _, old := range u.finder.replaced {
			u.finder.records.open(old).drop(ctx)
		}
	}
}
