package tus

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/seed-175555ba/tus-go/storage"
)

// The store operations of a record, which exclusively runs.

// put stores the record with a new lease.
func (r *record) put(ctx context.Context) error {
	if err := r.compare(ctx); err != nil {
		return err
	}
	if err := r.clock.refresh(ctx); err != nil {
		return err
	}
	lease := r.holder
	lease.Until = r.clock.latest().Add(r.lease).UTC()
	return r.putWith(ctx, time.Now(), &lease)
}

// putReleased stores the record without a lease. It deletes a record without upload URLs.
func (r *record) putReleased(ctx context.Context) error {
	r.mu.Lock()
	e := r.entry
	r.mu.Unlock()
	switch {
	case !named(e.rec):
		return r.delete(ctx)
	case e.rec.Revision == 0 || e.rec.Lease == nil && !e.unsaved: // never stored, or released already
		return nil
	}
	return r.putChanged(ctx, func(*storage.Record, time.Time) {})
}

// putChanged stores the record with a change and without a lease.
func (r *record) putChanged(ctx context.Context, change func(*storage.Record, time.Time)) error {
	if err := r.compare(ctx); err != nil {
		return err
	}
	now := time.Now()
	r.mu.Lock()
	change(&r.rec, now.UTC())
	r.mu.Unlock()
	return r.putWith(ctx, now, nil)
}

// putWith stores the record with a lease or, for nil, without one.
func (r *record) putWith(ctx context.Context, now time.Time, lease *storage.Lease) error {
	r.mu.Lock()
	if lost := r.lost; lost != nil || r.rec.ID == "" {
		r.mu.Unlock()
		return lost
	}
	uncertain := r.failed
	if r.rec.Lease = lease; lease != nil {
		r.rec.Updated = now.UTC()
	}
	if lease != nil && !named(r.rec) { // so that storage.DeleteExpired deletes it after a crash
		r.rec.Expires = lease.Until
	}
	if r.digest != nil && !completed(r.rec) {
		r.rec.Digest = r.digest.saved()
	}
	r.rec.Progress = r.newProgress()
	r.rec.Seal = sealOf(r.rec)
	r.failed, r.unsaved, r.tried = true, false, now // until Put has returned
	next := r.rec.Clone()
	r.mu.Unlock()

	stored, err := r.overwrite(ctx, next, uncertain)

	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.rec.ID != next.ID: // dropped while Put was hanging
		return err
	case errors.Is(err, storage.ErrConflict):
		r.entry, r.lost = entry{}, ErrLeaseLost
		return ErrLeaseLost
	case err != nil:
		r.unsaved = true
		return err
	}
	r.rec.ID, r.rec.Revision, r.named = stored.ID, stored.Revision, named(stored)
	r.failed, r.reported = false, false
	if r.sent = now; lease == nil {
		r.sent = time.Time{}
	}
	return nil
}

// newProgress returns the progress to be stored: that of an earlier session until this one
// has resumed the upload.
func (r *record) newProgress() *storage.Progress {
	switch {
	case completed(r.rec):
		return nil
	case r.progress == nil:
		return r.rec.Progress
	}
	p := r.progress()
	if p == (storage.Progress{}) {
		return nil
	}
	return &p
}

// overwrite is Put for a record of this Uploader. If it is uncertain whether the Put before
// stored the record, a conflict may be with that one.
func (r *record) overwrite(ctx context.Context, rec storage.Record, uncertain bool) (storage.Record, error) {
	stored, err := r.store.Put(ctx, rec)
	if !uncertain || !errors.Is(err, storage.ErrConflict) {
		return stored, err
	}
	there, ok, finding := r.current(ctx, rec)
	switch {
	case finding != nil: // the holder is unknown
		return stored, finding
	case ok && r.wrote(there, rec.Revision):
		rec.Revision = there.Revision
		return r.store.Put(ctx, rec)
	case rec.Revision == 0 && named(rec): // the upload exists, and another Uploader has reserved the ID
		rec.ID = storage.NewID()
		return r.store.Put(ctx, rec)
	}
	return stored, err
}

// compare checks, if the lease is over, that the stored record is still that of this upload.
// It may have been deleted, and another one have its ID and revision.
func (r *record) compare(ctx context.Context) error {
	r.mu.Lock()
	e, leased := r.entry, r.leasedAt(time.Now())
	r.mu.Unlock()
	if e.rec.Revision == 0 || e.tried.IsZero() || leased {
		return nil
	}
	there, ok, err := r.current(ctx, e.rec)
	if err != nil { // the following Put fails as well
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	same := ok && there.Created.Equal(e.rec.Created)
	switch {
	case same && there.Revision == e.rec.Revision:
	case same && e.failed && r.wrote(there, e.rec.Revision):
		r.rec.Revision = there.Revision
	case same && sameUpload(there, e.rec) && !leaseRuns(there.Lease, r.clock.earliest()): // another acquired and released it
		r.rec.Revision = there.Revision
	default:
		r.entry, r.lost = entry{}, ErrLeaseLost
		return ErrLeaseLost
	}
	return nil
}

// delete removes the record, unless another Uploader has changed it.
func (r *record) delete(ctx context.Context) error {
	if err := r.compare(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	e := r.entry
	r.entry = entry{}
	r.mu.Unlock()
	if e.rec.ID == "" || e.rec.Revision == 0 && !e.failed {
		return nil
	}
	err := storage.ErrConflict
	if e.rec.Revision != 0 {
		err = r.store.Delete(ctx, e.rec.ID, e.rec.Revision)
	}
	if e.failed && errors.Is(err, storage.ErrConflict) {
		var there storage.Record
		var ok bool
		if there, ok, err = r.current(ctx, e.rec); ok && r.wrote(there, e.rec.Revision) {
			e.rec = there
			err = r.store.Delete(ctx, there.ID, there.Revision)
		}
	}
	if err == nil || errors.Is(err, storage.ErrConflict) {
		return nil
	}
	// A later session finds that the upload is complete or gone, unless it seems to be held.
	e.rec.Lease = nil
	_, _ = r.overwrite(ctx, e.rec, true)
	return err
}

// wrote reports whether this Uploader stored a record over a revision. It did so with a
// record without a lease: another Uploader would have leased it.
func (s *records) wrote(there storage.Record, over int64) bool {
	if there.Lease == nil {
		return there.Revision == over+1
	}
	return there.Lease.Holder == s.holder.Holder
}

// sameUpload reports whether two records have the same uploads on the server.
func sameUpload(a, b storage.Record) bool {
	return a.UploadURL == b.UploadURL && a.Finishing == b.Finishing && a.Completed.Equal(b.Completed) && slices.Equal(a.Parts, b.Parts)
}

// sealOf returns the seal of a record; see [storage.Record].
func sealOf(rec storage.Record) string {
	h := xxh3.New()
	fmt.Fprintf(h, "%q %q %d %q", rec.Fingerprint, rec.Endpoint, rec.Size, rec.UploadURL)
	for _, p := range rec.Parts {
		fmt.Fprintf(h, " %d %d %q", p.Offset, p.Size, p.UploadURL)
	}
	sum := h.Sum128().Bytes()
	return hex.EncodeToString(sum[:])
}
