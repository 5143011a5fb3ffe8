package tus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// RefusedPolicy controls an upload when the server refuses to show a stored upload of its
// source, so that the offset is unknown: HEAD receives a 4xx, such as 400 or 403, that is
// neither retried nor about the credentials (401, 407), the version of the protocol (412) or
// a missing upload (404, 410).
type RefusedPolicy int

const (
	// RefusedFail ends the upload with a [*StoredError]. The record stays in the store.
	RefusedFail RefusedPolicy = iota
	// RefusedStartOver deletes the record and starts the upload over, or resumes another
	// stored one. What the server has of the upload stays there until it expires. A part that
	// is refused starts over alone. An upload whose last byte may have been sent fails as with
	// RefusedFail, as it may be complete, and so does one that is remembered as completed.
	RefusedStartOver
)

// StoredError is returned when the server refuses all retries of an upload that was found in
// the store. Later uploads of the same source fail in the same way until the record is
// deleted from the store; then they start over. errors.Is and errors.As match the refusal.
type StoredError struct {
	// ID identifies the record. [Client.PreviousUploads] returns it with the revision that
	// [storage.Store.Delete] requires.
	ID string
	// Created is when the upload was created.
	Created time.Time
	// Acknowledged is the number of bytes that the server is known to have acknowledged,
	// in this session or, if it refused the request for the offset, in an earlier one.
	Acknowledged int64

	size    int64 // of the upload; negative if unknown
	hidden  bool  // the server refused the request for the offset
	refusal error
}

// Error returns the age of the upload, the acknowledged bytes, the ID of the record and the
// refusal.
func (e *StoredError) Error() string {
	known, remedy := "", ""
	switch {
	case e.Acknowledged > 0 && e.size >= 0:
		known = fmt.Sprintf(", %d of %d bytes acknowledged", e.Acknowledged, e.size)
	case e.Acknowledged > 0:
		known = fmt.Sprintf(", %d bytes acknowledged", e.Acknowledged)
	case e.hidden:
		known = ", offset unknown"
	}
	if e.hidden {
		remedy = ", or set UploadOptions.Refused,"
	}
	return fmt.Sprintf("stored upload of %s%s (delete record %s from the store%s to start over): %v",
		e.Created.UTC().Format(time.RFC3339), known, e.ID, remedy, e.refusal)
}

// Unwrap returns the refusal.
func (e *StoredError) Unwrap() error { return e.refusal }

// storedError adds the stored upload to a refusal by the server, which would end every
// later session, too. It does not for a 401, which is about the credentials, and for an
// upload that is gone, may be complete or is that of a token, where deleting the record is no
// remedy.
func (u *Uploader) storedError(err error) error {
	rec, acknowledged := u.resumed, u.Offset()
	if current, known := u.finder.current(); current.ID != "" {
		rec, acknowledged = current, known
	}
	if acknowledged == 0 && rec.Progress != nil {
		acknowledged = rec.Progress.Acknowledged
	}
	var e *Error
	if rec.ID == "" || u.token != nil || !errors.As(err, &e) || e.StatusCode < 400 || unauthorized(err) ||
		isHookError(err) || errors.Is(err, errSource) || errors.Is(err, ErrUploadGone) || errors.Is(err, ErrUnconfirmed) {
		return err
	}
	stored := &StoredError{ID: rec.ID, Created: rec.Created, Acknowledged: acknowledged, size: rec.Size, refusal: err}
	if rec.LengthDeferred {
		stored.size = -1
	}
	stored.hidden = e.verdict.hidden && u.finder.mayAbandon()
	return stored
}

// startsOver reports whether the upload continues without the stored upload that the server
// refused to show, by the policy. No retry is left.
func (u *Uploader) startsOver(ctx context.Context, err error) bool {
	var refused *StoredError
	if ctx.Err() != nil || u.State() != StateLocating || !errors.As(u.storedError(err), &refused) || !refused.hidden {
		return false
	}
	return u.finder.refused(ctx, refused)
}

// mayAbandon reports whether the policy applies to the first candidate, if no token names it.
func (f *finder) mayAbandon() bool {
	rec, _ := f.current()
	return rec.ID != "" && !completed(rec) && !rec.Finishing && rec.Refusal == ""
}

// refused reports the refusal of the first candidate to the hooks, and discards the candidate,
// or its part, if the policy allows it.
func (f *finder) refused(ctx context.Context, refused *StoredError) bool {
	const reason = "the server refuses to show it"
	c := f.candidates[0]
	if !c.refused {
		c.refused = true
		f.hooks.storedUploadRefused(refused)
	}
	if f.opts.Refused != RefusedStartOver {
		return false
	}
	f.retries.reset(0) // the failures were of the upload that is refused
	if c.rec.UploadURL == "" {
		f.absence = absence{}
		return f.checkPart(ctx, c, Info{}, reason) == nil
	}
	f.dropFirst(ctx, c.record, fmt.Sprintf("%s: %v", reason, refused.refusal))
	return true
}

// current returns the record of the candidate that is being checked, without an ID if there
// is none, and how many bytes of its parts are acknowledged.
func (f *finder) current() (rec storage.Record, acknowledged int64) {
	if f == nil || f.decided || len(f.candidates) == 0 {
		return storage.Record{}, 0
	}
	return f.candidates[0].rec, f.candidates[0].offset
}
