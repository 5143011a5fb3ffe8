package tus

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/semaphore"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// storeTimeout bounds the store operations that run after the context of the upload ended.
const storeTimeout = 5 * time.Second

// errStoreTimeout is the cause of a context that ended an operation of the store, but not
// the upload.
var errStoreTimeout = errors.New("the store did not respond in time")

// uncancelled returns a context for a store operation that runs even if ctx has ended.
func uncancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.WithoutCancel(ctx), storeTimeout, errStoreTimeout)
}

// ended reports whether ctx ended the upload, and not only an operation of the store.
func ended(ctx context.Context) bool {
	return ctx.Err() != nil && context.Cause(ctx) != errStoreTimeout
}

// records reads the stored records of one source for one Uploader.
type records struct {
	store     storage.Store
	clock     *storeClock
	lease     time.Duration // how long a lease lasts that is not renewed
	required  bool
	holder    storage.Lease  // Holder and Process of the leases
	onFailure func(error)    // called with an error matching ErrStore when the store fails
	source    storage.Record // the fields about the source; without Fingerprint nothing is stored
}

// open returns a record without a lease.
func (s *records) open(rec storage.Record) *record {
	r := &record{records: s, sem: semaphore.NewWeighted(1), entry: entry{rec: rec.Clone(), named: named(rec)}}
	r.rec.Lease = nil
	return r
}

// reserve returns a record of a new upload, which is not stored yet. Its ID depends only on
// the resume key, and on the ID of the record that it will replace, if any, so that of
// several Uploaders only one can store it.
func (s *records) reserve(over string) *record {
	rec := s.source
	sum := xxh3.HashString128("reservation " + over + rec.Fingerprint).Bytes()
	rec.ID, rec.Created = hex.EncodeToString(sum[:]), time.Now().UTC()
	return s.open(rec)
}

// find returns the records of a source, the last updated first. If some cannot be read, it
// returns the others with the error.
func (s *records) find(ctx context.Context, fingerprint string) ([]storage.Record, error) {
	if err := s.clock.refresh(ctx); err != nil {
		return nil, err
	}
	return async.Call(ctx, func() ([]storage.Record, error) { return s.store.Find(ctx, fingerprint) }, nil)
}

// current returns the record with the ID of rec as it is stored. It returns an error only
// if the record may exist but cannot be read.
func (s *records) current(ctx context.Context, rec storage.Record) (there storage.Record, ok bool, err error) {
	found, err := s.find(ctx, rec.Fingerprint)
	if there, ok = withID(found, rec.ID); ok {
		return there, true, nil
	}
	return there, false, err
}

// errStoreFailed is returned when a store that is not required failed.
var errStoreFailed = errors.New("store failed")

// reread is current, and reports a failure. If the store is not required, the error is
// errStoreFailed.
func (s *records) reread(ctx context.Context, rec storage.Record) (there storage.Record, ok bool, err error) {
	there, ok, err = s.current(ctx, rec)
	if err == nil {
		return there, ok, nil
	}
	if err := s.report(ctx, "find", err); err != nil {
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

// report calls the hooks for a failure of the store. It returns an error only if the failure,
// or the end of ctx, must end the upload. A store may have deadlines of its own.
func (s *records) report(ctx context.Context, op string, err error) error {
	if ended(ctx) {
		return async.ContextError(ctx)
	}
	err = fmt.Errorf("tus: %w: %s: %w", ErrStore, op, err)
	s.onFailure(err)
	if s.required {
		return err
	}
	return nil
}
