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

// record is the stored record of one upload, and its lease. A nil *record stores nothing.
// mu is not held during store operations: a store that hangs delays only what must be stored.
type record struct {
	*records
	sem    *semaphore.Weighted // one store operation at a time, even one that hangs
	digest *digester           // of the source, whose state is stored; nil for none

	progress func() storage.Progress // nil for none

	mu    sync.Mutex
	entry       // requires mu
	lost  error // matches ErrLeaseLost if another Uploader has the upload
}

// entry is a record and the state of its storage.
type entry struct {
	rec      storage.Record // with the revision stored last; no ID means no record
	named    bool           // the stored record has the URLs of the upload
	unsaved  bool           // rec has changes that are not stored
	failed   bool           // the last Put failed, and may have stored the record nevertheless
	reported bool           // the failure of the last Put was reported
	tried    time.Time      // start of the last Put
	sent     time.Time      // start of the last Put with a lease that succeeded; zero means no lease
}

// acquire leases the upload, unless it is already leased. The error matches ErrLeaseLost if
// another Uploader holds or completed the upload.
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
	ctx, cancel := context.WithTimeoutCause(ctx, max(r.renewal(), storeTimeout), errStoreTimeout)
	defer cancel()
	return r.judge(ctx, r.exclusively(ctx, r.put))
}

// save changes the record, and returns when it is stored. The first change creates it.
func (r *record) save(ctx context.Context, change func(*storage.Record)) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	r.begin()
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

// begin makes a new record unless there is one. It requires r.mu.
func (r *record) begin() {
	if r.rec.ID == "" && r.lost == nil && r.source.Fingerprint != "" {
		r.rec = r.source
		r.rec.ID, r.rec.Created = storage.NewID(), time.Now().UTC()
	}
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

// saveEnd changes what the record says of the last byte. The byte is not sent before saveEnd
// returns, so a store that does not respond ends it soon.
func (r *record) saveEnd(ctx context.Context, change func(*storage.Record)) error {
	if !r.stored() { // the failure to store the record is reported elsewhere
		r.saveLazily(change)
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, storeTimeout, errStoreTimeout)
	defer cancel()
	return r.save(ctx, change)
}

// clearEnd is a change for saveEnd: the server lacks bytes of the upload.
func clearEnd(rec *storage.Record) { rec.Finishing, rec.Refusal = false, "" }

// renew renews the lease if that is due. The error matches ErrLeaseLost if another Uploader
// has acquired it. A failure is an error only if the store is required and the lease is
// over; until then the next call retries.
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
	r.entry = entry{} // delete does not get there if the store hangs
}

// clear removes the upload from the record: it is gone, and another one will be created. The
// record stays, so that those that wait for this Uploader do not create one as well.
func (r *record) clear(ctx context.Context) {
	if !r.is(func(e *entry) bool { return e.rec.ID != "" }) {
		return
	}
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	// Storing the new upload reports a failure again.
	_ = r.save(ctx, func(rec *storage.Record) {
		rec.UploadURL, rec.Parts, rec.CreationHeader = "", nil, nil
		rec.Finishing, rec.Refusal = false, ""
	})
}

// keep stores the record of a completed upload with a last change, and returns false if it
// is not stored: a reservation is then deleted. The first change creates the record.
func (r *record) keep(ctx context.Context, change func(*storage.Record, time.Time)) bool {
	if r == nil {
		return false
	}
	reservation := r.leased() && !r.holds()
	r.mu.Lock()
	r.begin()
	r.mu.Unlock()
	stored := r.conclude(ctx, "put", func(ctx context.Context) error { return r.putChanged(ctx, change) })
	if reservation && !stored {
		r.conclude(ctx, "delete", r.delete)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entry = entry{} // a renewal of the lease finds nothing
	return stored
}

// conclude runs an operation that ends the use of the record, even if ctx has ended. It
// returns false if there is no record or the operation failed.
func (r *record) conclude(ctx context.Context, name string, op func(context.Context) error) bool {
	if !r.is(func(e *entry) bool { return e.rec.ID != "" }) {
		return false
	}
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	err := r.exclusively(ctx, op)
	if err != nil && !errors.Is(err, ErrLeaseLost) {
		r.report(ctx, name, err)
	}
	return err == nil
}

// revision returns the revision stored last, 0 without a stored record.
func (r *record) revision() (n int64) {
	r.is(func(e *entry) bool { n = e.rec.Revision; return true })
	return n
}

// is returns the result of a test of the entry; false without a record.
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
	return r.is(func(*entry) bool { return r.leasedAt(time.Now()) })
}

// holds reports whether the record, stored or not, has the URLs of an upload.
func (r *record) holds() bool { return r.is(func(e *entry) bool { return named(e.rec) }) }

// stored reports whether a later session can resume the upload from the store.
func (r *record) stored() bool { return r.is(func(e *entry) bool { return e.named }) }

// named reports whether a record has the URLs of its upload.
func named(rec storage.Record) bool { return rec.UploadURL != "" || len(rec.Parts) > 0 }

// exclusively runs op while no other operation of the record runs, and waits for it until
// ctx ends.
func (r *record) exclusively(ctx context.Context, op func(context.Context) error) error {
	if err := r.sem.Acquire(ctx, 1); err != nil {
		return async.ContextError(ctx)
	}
	_, err := async.Call(ctx, func() (struct{}, error) {
		defer r.sem.Release(1)
		return struct{}{}, op(ctx)
	}, nil)
	return err
}

// judge reports a failure of Put, which is an error if the store is required. If it is not,
// a failed reservation is reported only when storing the upload fails, too.
func (r *record) judge(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, ErrLeaseLost):
		return err
	case !r.required && !r.holds() && !ended(ctx):
		return nil
	}
	return r.report(ctx, "put", err)
}
