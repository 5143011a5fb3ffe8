package tus

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// record is the stored record of one upload, and the lease on it. A nil *record stores
// nothing. No lock is held while the store works: a store that hangs delays only what has
// to be stored.
type record struct {
	*records
	turn *semaphore.Weighted // one operation of the store at a time, also of one that hangs

	mu    sync.Mutex
	entry       // needs mu
	lost  error // matches ErrLeaseLost: another Uploader has the upload; nil if none
}

// entry is what is to be stored, and what is known of the stored record.
type entry struct {
	rec      storage.Record // with the revision stored last; no ID means that there is none
	named    bool           // what is stored says where the upload is
	unsaved  bool           // rec has changes that are not stored
	failed   bool           // the last Put failed, and may have stored the record nevertheless
	reported bool           // the last Put failed, and the hooks know
	tried    time.Time      // when the last Put was sent
	sent     time.Time      // when the last Put with a lease was sent that succeeded; zero means no lease
}

// acquire leases the upload, unless that is leased already. The error matches ErrLeaseLost
// if another Uploader holds or completed the upload.
func (r *record) acquire(ctx context.Context) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	lost, done := r.lost, r.rec.ID == "" || r.leasedAt(time.Now())
	r.mu.Unlock()
	switch {
	case lost != nil:
		return lost
	case done:
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, leaseRenewal, errStoreTimeout)
	defer cancel()
	return r.judge(ctx, r.exclusively(ctx, r.put))
}

// save changes the record, and returns when it is stored. The first change makes the
// record.
func (r *record) save(ctx context.Context, change func(*storage.Record)) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	if r.rec.ID == "" && r.lost == nil && r.source.Fingerprint != "" {
		r.rec = r.source
		r.rec.ID, r.rec.Created = storage.NewID(), time.Now().UTC()
	}
	lost, none := r.lost, r.rec.ID == ""
	if !none {
		before := r.rec.Clone()
		change(&r.rec)
		r.rec = r.rec.Clone()
		r.unsaved = r.unsaved || !reflect.DeepEqual(before, r.rec)
	}
	stored := r.rec.Revision != 0 && !r.unsaved && !r.failed
	r.mu.Unlock()
	switch {
	case lost != nil:
		return lost
	case none || stored:
		return nil
	}
	return r.judge(ctx, r.exclusively(ctx, r.put))
}

// saveLazily changes the record, if there is one. The change is stored with the next Put.
func (r *record) saveLazily(change func(*storage.Record)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rec.ID != "" {
		change(&r.rec)
		r.unsaved = true
	}
}

// renew renews the lease if that is due. The error matches ErrLeaseLost if another
// Uploader has acquired it. A failure is an error only if the store is required and the
// lease is over; until then the next call tries again.
func (r *record) renew(ctx context.Context) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	lost, due := r.lost, r.due(time.Now())
	r.mu.Unlock()
	switch {
	case lost != nil:
		return lost
	case !due:
		return nil
	}
	over, err := r.tryRenewal(ctx)
	var failure *renewalError
	if errors.As(err, &failure) && !(over && r.required) {
		return nil
	}
	return err
}

// release ends the lease, so that a later session can resume the upload at once.
func (r *record) release(ctx context.Context) { r.conclude(ctx, "put", r.putReleased) }

// drop deletes the record: the upload is complete or gone.
func (r *record) drop(ctx context.Context) {
	if r == nil {
		return
	}
	r.conclude(ctx, "delete", r.delete)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entry = entry{} // delete has not done it if the store hangs
}

// conclude runs an operation that ends the use of the record, if there is one. It runs to
// its end although ctx ended.
func (r *record) conclude(ctx context.Context, name string, op func(context.Context) error) {
	if !r.is(func(e *entry) bool { return e.rec.ID != "" }) {
		return
	}
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	if err := r.exclusively(ctx, op); err != nil && !errors.Is(err, ErrLeaseLost) {
		r.report(ctx, name, err)
	}
}

// is reports whether a test of the entry succeeds; false without a record.
func (r *record) is(test func(*entry) bool) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return test(&r.entry)
}

// leased reports whether the lease can be relied on.
func (r *record) leased() bool {
	return r.is(func(e *entry) bool { return e.leasedAt(time.Now()) })
}

// holds reports whether there is a record of an upload, stored or not.
func (r *record) holds() bool { return r.is(func(e *entry) bool { return named(e.rec) }) }

// stored reports whether a later session can resume the upload by what is stored.
func (r *record) stored() bool { return r.is(func(e *entry) bool { return e.named }) }

// named reports whether a record says where its upload is.
func named(rec storage.Record) bool { return rec.UploadURL != "" || len(rec.Parts) > 0 }

// exclusively runs op while no other operation of the record runs, and waits for it as
// long as ctx lives.
func (r *record) exclusively(ctx context.Context, op func(context.Context) error) error {
	if err := r.turn.Acquire(ctx, 1); err != nil {
		return async.ContextError(ctx)
	}
	_, err := async.Call(ctx, func() (struct{}, error) {
		defer r.turn.Release(1)
		return struct{}{}, op(ctx)
	}, nil)
	return err
}

// judge reports a failure of Put, which is an error if the store is required. That of a
// reservation is reported if the upload cannot be stored either.
func (r *record) judge(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, ErrLeaseLost):
		return err
	case !r.required && !r.holds() && !ended(ctx):
		return nil
	}
	return r.report(ctx, "put", err)
}
