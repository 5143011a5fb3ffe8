package tus

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/semaphore"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// storeTimeout bounds the store operations that run after the context of the
// upload ended.
const storeTimeout = 5 * time.Second

// errStoreTimeout ends an operation of the store, and not the upload.
var errStoreTimeout = errors.New("the store did not answer")

// uncancelled is for what has to be stored although ctx may have ended.
func uncancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.WithoutCancel(ctx), storeTimeout, errStoreTimeout)
}

// keeper keeps the record of one upload in the store, and with it the lease
// that no other Uploader works on the same upload. Without a store its methods
// do nothing. A store that fails is reported; it ends the upload only if the
// client requires the store.
type keeper struct {
	store    storage.Store // nil for none
	required bool
	failed   func(error) // reports a failure of the store
	lost     func(error) // stops the upload when the lease is lost
	lease    storage.Lease

	turn  *semaphore.Weighted // held while the fields below are used, also over store I/O
	rec   storage.Record      // as stored last; no ID means none
	dirty bool                // rec was changed since
	taken bool                // somebody else has the upload now
}

func newKeeper() *keeper { return &keeper{turn: semaphore.NewWeighted(1)} }

func (k *keeper) lock()   { _ = k.turn.Acquire(context.Background(), 1) }
func (k *keeper) unlock() { k.turn.Release(1) }

// enabled reports whether there is a store to keep anything in.
func (k *keeper) enabled() bool { return k.store != nil }

// holds reports whether there is a record of the upload, which may not be in the
// store yet if that failed.
func (k *keeper) holds() bool {
	k.lock()
	defer k.unlock()
	return k.rec.ID != ""
}

// stored reports whether the upload is in the store for certain.
func (k *keeper) stored() bool {
	k.lock()
	defer k.unlock()
	return k.rec.Revision != 0
}

// find returns the records of earlier uploads under key, the latest first.
func (k *keeper) find(ctx context.Context, key string) ([]storage.Record, error) {
	found, err := k.store.Find(ctx, key)
	if err != nil { // records that can be read come along with the error
		if err := k.report(ctx, "find", err); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// errStoreFailed is returned when a store failed that is not required.
var errStoreFailed = errors.New("store failed")

// claim takes the lease of a record that was found. It returns the record as it can
// be claimed again with any error but [storage.ErrConflict], which means that the
// record has changed.
func (k *keeper) claim(ctx context.Context, rec storage.Record) (storage.Record, error) {
	now := time.Now()
	lease := k.lease
	lease.Until = now.Add(leaseTime).UTC()
	rec.Lease, rec.Updated = &lease, now.UTC()
	stored, err := k.store.Put(ctx, rec)
	switch {
	case err == nil:
		return stored, nil
	case errors.Is(err, storage.ErrConflict):
		return rec, storage.ErrConflict
	}
	rec = k.takeBack(ctx, rec)
	if err := k.report(ctx, "put", err); err != nil {
		return rec, err
	}
	return rec, errStoreFailed
}

// takeBack ends a lease that was stored although Put failed: until it ends by itself,
// nobody would find the upload. It returns the record as it can be claimed again.
func (k *keeper) takeBack(ctx context.Context, rec storage.Record) storage.Record {
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	if there, ok, _ := k.current(ctx, rec); ok && there.Lease != nil && there.Lease.Holder == k.lease.Holder {
		rec = there
		there.Lease = nil
		if stored, err := k.store.Put(ctx, there); err == nil {
			rec = stored
		}
	}
	return rec
}

// unclaim gives a record back that was claimed and then not chosen.
func (k *keeper) unclaim(ctx context.Context, rec storage.Record) {
	rec.Lease = nil
	if _, err := k.overwrite(ctx, rec); err != nil && !errors.Is(err, storage.ErrConflict) {
		k.report(ctx, "put", err)
	}
}

// adopt goes on with a record that was claimed.
func (k *keeper) adopt(rec storage.Record) {
	k.lock()
	defer k.unlock()
	k.rec, k.dirty, k.taken = rec, false, false
}

// unadopt is the record that was adopted, which is claimed still.
func (k *keeper) unadopt() storage.Record {
	k.lock()
	defer k.unlock()
	rec := k.rec
	k.rec, k.dirty = storage.Record{}, false
	return rec
}

// save stores what change makes of the record, a new one if there is none. It
// returns when the record is on disk.
func (k *keeper) save(ctx context.Context, change func(*storage.Record)) error {
	if !k.enabled() {
		return nil
	}
	k.lock()
	defer k.unlock()
	rec := k.rec.Clone()
	now := time.Now().UTC()
	if rec.ID == "" {
		rec.ID, rec.Created = storage.NewID(), now
	}
	change(&rec)
	return k.put(ctx, rec, now)
}

// finishing stores that the request that completes the upload may be sent from now on.
func (k *keeper) finishing(ctx context.Context) error {
	return k.saveEnd(ctx, func(rec *storage.Record) { rec.Finishing = true })
}

// notComplete stores that the server lacks bytes of the upload, before they are sent.
func (k *keeper) notComplete(ctx context.Context) error {
	return k.saveEnd(ctx, func(rec *storage.Record) { rec.Finishing, rec.Refusal = false, "" })
}

// refused stores how the server refused the last byte, before HEAD is asked what it has.
func (k *keeper) refused(ctx context.Context, status string) error {
	return k.saveEnd(ctx, func(rec *storage.Record) { rec.Refusal = status })
}

// saveEnd stores what is known of the last byte, unless the record says so already. The
// bytes wait for it, so a store that does not respond is given up soon.
func (k *keeper) saveEnd(ctx context.Context, change func(*storage.Record)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, storeTimeout, errStoreTimeout)
	defer cancel()
	if err := k.turn.Acquire(ctx, 1); err != nil {
		return k.report(ctx, "put", err)
	}
	defer k.unlock()
	rec := k.rec.Clone()
	change(&rec)
	switch {
	case k.rec.ID == "" || rec.Finishing == k.rec.Finishing && rec.Refusal == k.rec.Refusal:
		return nil
	case k.rec.Revision == 0: // storing it failed; where that is made up for, it says so
		k.rec = rec
		return nil
	}
	return k.put(ctx, rec, time.Now())
}

// put needs the lock.
func (k *keeper) put(ctx context.Context, rec storage.Record, now time.Time) error {
	lease := k.lease
	lease.Until = now.Add(leaseTime).UTC()
	rec.Lease, rec.Updated = &lease, now.UTC()
	rec.Seal = sealOf(rec)
	stored, err := k.overwrite(ctx, rec)
	switch {
	case err == nil:
		k.rec, k.dirty = stored, false
		return nil
	case errors.Is(err, storage.ErrConflict):
		k.rec, k.dirty, k.taken = storage.Record{}, false, true
		return ErrLeaseLost
	}
	// It may be stored all the same, and then nobody else must take it for an
	// upload that was left. So it is tried again, as if the lease were over.
	rec.Lease.Until = time.Time{}
	k.rec, k.dirty = rec, true
	return k.report(ctx, "put", err)
}

// sealOf is the seal of a record; see [storage.Record].
func sealOf(rec storage.Record) string {
	h := xxh3.New()
	fmt.Fprintf(h, "%q %q %d %q", rec.Fingerprint, rec.Endpoint, rec.Size, rec.UploadURL)
	for _, p := range rec.Parts {
		fmt.Fprintf(h, " %d %d %q", p.Offset, p.Size, p.UploadURL)
	}
	sum := h.Sum128().Bytes()
	return hex.EncodeToString(sum[:])
}

// overwrite is Put for a record that is ours. A Put that failed may have stored
// the record all the same: then the conflict is with ourselves.
func (k *keeper) overwrite(ctx context.Context, rec storage.Record) (storage.Record, error) {
	stored, err := k.store.Put(ctx, rec)
	if !errors.Is(err, storage.ErrConflict) {
		return stored, err
	}
	there, ok, finding := k.current(ctx, rec)
	switch {
	case finding != nil: // with whom the conflict is cannot be told
		return stored, finding
	case ok && k.wrote(there, rec.Revision):
		rec.Revision = there.Revision
		return k.store.Put(ctx, rec)
	}
	return stored, err
}

// current is what the store has of a record by now. It returns an error only if the
// record may exist but cannot be read.
func (k *keeper) current(ctx context.Context, rec storage.Record) (there storage.Record, ok bool, err error) {
	found, err := k.store.Find(ctx, rec.Fingerprint)
	if there, ok = withID(found, rec.ID); ok {
		return there, true, nil
	}
	return there, false, err
}

// reread is current for a record that is not ours, with the errors of claim.
func (k *keeper) reread(ctx context.Context, rec storage.Record) (there storage.Record, ok bool, err error) {
	there, ok, err = k.current(ctx, rec)
	if err == nil {
		return there, ok, nil
	}
	if err := k.report(ctx, "find", err); err != nil {
		return there, false, err
	}
	return there, false, errStoreFailed
}

func withID(found []storage.Record, id string) (rec storage.Record, ok bool) {
	i := slices.IndexFunc(found, func(rec storage.Record) bool { return rec.ID == id })
	if i < 0 {
		return storage.Record{}, false
	}
	return found[i], true
}

// wrote reports whether a record is what we stored over a revision. One without a
// lease can only be what we gave back: another would have taken the lease first.
func (k *keeper) wrote(there storage.Record, over int64) bool {
	if there.Lease == nil {
		return there.Revision == over+1
	}
	return there.Lease.Holder == k.lease.Holder
}

// note changes the record without haste: the change is stored with the next
// renewal of the lease or at the end.
func (k *keeper) note(change func(*storage.Record)) {
	k.lock()
	defer k.unlock()
	if k.rec.ID != "" {
		change(&k.rec)
		k.dirty = true
	}
}

// renew prolongs the lease if a good part of it is over. One that lasts longer than
// any was made when the clock was ahead, and others take it for one that has ended.
func (k *keeper) renew(ctx context.Context) error {
	k.lock()
	defer k.unlock()
	switch {
	case k.taken:
		return ErrLeaseLost
	case k.rec.ID == "" || k.rec.Lease == nil:
		return nil
	}
	now := time.Now()
	if left := k.rec.Lease.Until.Sub(now); leaseTime-leaseRenewal < left && left <= leaseTime {
		return nil
	}
	// Whatever else has to do with the record waits meanwhile.
	ctx, cancel := context.WithTimeoutCause(ctx, leaseRenewal, errStoreTimeout)
	defer cancel()
	return k.put(ctx, k.rec.Clone(), now)
}

// keepLease renews the lease while the upload is driven. The function returned
// stops that and waits for it. panics takes those of the store and of hooks.
func (k *keeper) keepLease(ctx context.Context, panics *async.Panics) (stop func()) {
	if !k.enabled() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	const period = leaseRenewal / 2
	var renewing sync.Mutex
	var timer *time.Timer
	renewing.Lock()
	renew := func() {
		renewing.Lock()
		defer renewing.Unlock()
		if ctx.Err() != nil {
			return
		}
		if err := k.renew(ctx); err != nil && ctx.Err() == nil {
			k.lost(err)
		}
		timer.Reset(period)
	}
	timer = time.AfterFunc(period, func() { panics.Run(renew) })
	renewing.Unlock()
	return func() {
		cancel()
		renewing.Lock()
		defer renewing.Unlock()
		timer.Stop()
	}
}

// release gives the record back for a later session.
func (k *keeper) release(ctx context.Context) {
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	k.lock()
	defer k.unlock()
	if k.rec.Revision == 0 || k.rec.Lease == nil && !k.dirty { // none, one that could not be stored, or given back already
		return
	}
	rec := k.rec.Clone()
	rec.Lease = nil
	stored, err := k.overwrite(ctx, rec)
	if err == nil {
		k.rec, k.dirty = stored, false
		return
	}
	if errors.Is(err, storage.ErrConflict) {
		k.rec, k.taken = storage.Record{}, true
		return
	}
	k.rec, k.dirty = rec, true // to be reclaimed
	k.report(ctx, "put", err)
}

// reclaim takes the lease again after a release. An upload that somebody else is at
// work on, or has completed, is lost to us; one that was given back is not. How much
// of it the server has now is not known.
func (k *keeper) reclaim(ctx context.Context) error {
	k.lock()
	defer k.unlock()
	ours := k.rec.Clone()
	err := k.retake(ctx)
	if !errors.Is(err, ErrLeaseLost) || ours.ID == "" {
		return err
	}
	if there, ok, _ := k.current(ctx, ours); ok && !leaseRuns(there.Lease, time.Now()) && sameUpload(there, ours) {
		k.taken = false
		return k.put(ctx, there, time.Now())
	}
	return err
}

// retake needs the lock.
func (k *keeper) retake(ctx context.Context) error {
	switch {
	case k.taken:
		return ErrLeaseLost
	case k.rec.ID == "" || k.rec.Lease != nil:
		return nil
	}
	return k.put(ctx, k.rec.Clone(), time.Now())
}

// sameUpload reports whether two records lead to the same uploads on the server.
func sameUpload(a, b storage.Record) bool {
	return a.UploadURL == b.UploadURL && a.Finishing == b.Finishing && slices.Equal(a.Parts, b.Parts)
}

// drop removes the record. It runs to its end even if ctx ended: the upload is
// complete or gone, so the record would only mislead.
func (k *keeper) drop(ctx context.Context) {
	k.lock()
	defer k.unlock()
	if k.rec.ID == "" {
		return
	}
	rec := k.rec
	k.rec = storage.Record{}
	if k.remove(ctx, rec) != nil {
		// A later session finds the upload complete or gone, but not as long as
		// somebody seems to be at work on it.
		rec.Lease = nil
		ctx, cancel := uncancelled(ctx)
		defer cancel()
		_, _ = k.overwrite(ctx, rec)
	}
}

// remove deletes a record, unless somebody else has changed it since.
func (k *keeper) remove(ctx context.Context, rec storage.Record) error {
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	err := k.store.Delete(ctx, rec.ID, rec.Revision)
	if errors.Is(err, storage.ErrConflict) {
		var there storage.Record
		var ok bool
		if there, ok, err = k.current(ctx, rec); ok && k.wrote(there, rec.Revision) {
			err = k.store.Delete(ctx, there.ID, there.Revision)
		}
	}
	if err != nil && !errors.Is(err, storage.ErrConflict) {
		k.report(ctx, "delete", err)
		return err
	}
	return nil
}

// report tells the hooks that the store failed. It returns an error only if that,
// or the end of ctx, must end the upload. A store may have deadlines of its own.
func (k *keeper) report(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil && context.Cause(ctx) != errStoreTimeout {
		return async.ContextError(ctx)
	}
	err = fmt.Errorf("tus: %w: %s: %w", ErrStore, op, err)
	k.failed(err)
	if k.required {
		return err
	}
	return nil
}
