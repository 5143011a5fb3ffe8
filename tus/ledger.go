package tus

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// ledger keeps the status of an upload for the getters, the hooks and the store.
type ledger struct {
	requester
	driving *driveLock
	work    delivery   // nil until the planner has made it
	record  *record    // nil without a store
	digest  *digester  // nil for none
	rate    movingRate // requires hooks.mu

	mu       sync.Mutex // held while the fields below and the state of the Uploader are used
	known    status
	reported time.Time // of the last progress while bytes are sent
}

// status is what the getters return.
type status struct {
	url       *url.URL
	info      SourceInfo
	source    Source // nil before the first Stat
	metadata  Metadata
	offset    int64
	highest   int64 // offset ever acknowledged
	expires   time.Time
	checksum  string // negotiated algorithm
	creation  *Response
	lastPatch *Response
	kept      http.Header     // of the creation, in this session or an earlier one
	digest    *storage.Digest // of all bytes, once the upload is complete
	recalled  bool            // an earlier session completed the upload
	later     storage.Record  // Parts, Finishing and Refusal for a later session
}

func (l *ledger) status() status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}

func (l *ledger) updateStatus(update func(*status)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	update(&l.known)
}

// setWork replaces the delivery.
func (l *ledger) setWork(work delivery) {
	l.hooks.mu.Lock()
	defer l.hooks.mu.Unlock()
	l.work = work
}

// reportMovement reports progress while bytes are sent. The transport calls it.
func (l *ledger) reportMovement() {
	l.mu.Lock()
	now := time.Now()
	due := now.Sub(l.reported) >= progressInterval
	if due {
		l.reported = now
	}
	l.mu.Unlock()
	if !due {
		return
	}
	l.hooks.mu.Lock()
	defer l.hooks.mu.Unlock()
	if l.work != nil {
		l.reportProgress()
	}
}

// changed updates the status from the delivery, and reports progress.
func (l *ledger) changed() {
	l.hooks.mu.Lock()
	defer l.hooks.mu.Unlock()
	l.refreshLocked()
	l.reportProgress()
}

// refresh updates the status from the delivery.
func (l *ledger) refresh() {
	l.hooks.mu.Lock()
	defer l.hooks.mu.Unlock()
	l.refreshLocked()
}

// refreshLocked requires hooks.mu, so that no older account replaces a newer one.
func (l *ledger) refreshLocked() {
	a := l.work.account()
	expires := false
	l.updateStatus(func(s *status) {
		s.info, s.offset, s.highest = a.info, a.offset, max(s.highest, a.offset)
		s.checksum = a.checksum
		if expires = !a.expires.IsZero() && !a.expires.Equal(s.expires); expires {
			s.expires = a.expires
		}
	})
	if expires {
		l.record.saveLazily(func(rec *storage.Record) { rec.Expires = a.expires })
	}
}

// startRate begins to measure Progress.Rate.
func (l *ledger) startRate() {
	l.hooks.mu.Lock()
	defer l.hooks.mu.Unlock()
	l.rate = movingRate{}
	l.rate.add(time.Now(), l.counters.sent())
}

// reportProgress requires hooks.mu.
func (l *ledger) reportProgress() {
	known, sent, now := l.status(), l.work.account().sent, time.Now()
	l.rate.add(now, l.counters.sent())
	l.hooks.progress(Progress{
		Acknowledged: known.highest,
		InFlight:     max(0, sent-known.highest),
		Size:         known.info.Size,
		SizeUnknown:  known.info.SizeUnknown,
		Rate:         l.rate.perSecond(now),
	})
}

// save stores the upload URLs, even if ctx has ended.
func (l *ledger) save(ctx context.Context) error {
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	l.refresh()
	known := l.status()
	describe := l.noted(l.work.describe)
	return l.record.save(ctx, func(rec *storage.Record) {
		rec.UploadURL = ""
		if known.url != nil {
			rec.UploadURL = known.url.String()
		}
		rec.Expires, rec.CreationHeader = known.expires, known.kept
		describe(rec)
	})
}

// noted applies a change of the record to the status as well, for an upload without a record.
func (l *ledger) noted(change func(*storage.Record)) func(*storage.Record) {
	later := l.status().later
	change(&later)
	l.updateStatus(func(s *status) { s.later = later })
	return change
}

// finishing stores that the request that completes the upload is about to be sent. If the
// server then no longer has the upload, a later session must not resend it.
func (l *ledger) finishing(ctx context.Context) error {
	err := l.saveEnd(ctx, func(rec *storage.Record) { rec.Finishing = true })
	if errors.Is(err, ErrLeaseLost) {
		l.driving.interrupt(err)
	}
	return err
}

// saveLazily is save, but may be delayed.
func (l *ledger) saveLazily() { l.record.saveLazily(l.noted(l.work.describe)) }

// saveEnd changes what the record says of the last byte.
func (l *ledger) saveEnd(ctx context.Context, change func(*storage.Record)) error {
	return l.record.saveEnd(ctx, l.noted(change))
}

// confirm renews the lease when the server reports another request for the upload. The error
// matches ErrLeaseLost if another Uploader has it.
func (l *ledger) confirm(ctx context.Context) error { return l.record.confirm(ctx) }

// recheckLease renews the lease before a request if it is over. keepLease is late after the
// process was suspended. It interrupts the upload if that fails.
func (l *ledger) recheckLease(ctx context.Context) {
	l.mu.Lock()
	r := l.record
	l.mu.Unlock()
	if err := r.recheck(ctx); err != nil && ctx.Err() == nil {
		l.driving.interrupt(err)
	}
}

// recordRevision returns the revision of the record as stored last, 0 for none.
func (l *ledger) recordRevision() int64 {
	l.mu.Lock()
	r := l.record
	l.mu.Unlock()
	return r.revision()
}

// setRecord replaces the record. keepLease reads it in another goroutine.
func (l *ledger) setRecord(r *record) {
	l.mu.Lock()
	if r != nil {
		r.digest = l.digest
	}
	l.record = r
	l.mu.Unlock()
}

// keepLease renews the lease while the upload is driven, and interrupts the upload when the
// lease is lost. The returned function stops that and waits until it has stopped. panics
// keeps those of the store and of hooks.
func (l *ledger) keepLease(ctx context.Context, panics *async.Panics) (stop func()) {
	if l.record == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	// Most uploads of small files end before the timer, and need no goroutine.
	renewing := time.AfterFunc(renewalPause, func() {
		defer close(done)
		panics.Run(func() {
			for ctx.Err() == nil {
				l.mu.Lock()
				current := l.record
				l.mu.Unlock()
				if err := current.renew(ctx); err != nil && ctx.Err() == nil {
					l.driving.interrupt(err)
				}
				_ = async.Sleep(ctx, renewalPause)
			}
		})
	})
	return func() {
		cancel()
		if renewing.Stop() {
			close(done)
		}
		<-done
	}
}
