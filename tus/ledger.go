package tus

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// ledger keeps the status of an upload for the getters, the hooks and the store.
type ledger struct {
	requester
	driving *driveLock
	work    delivery  // nil until the planner has made it
	record  *record   // nil without a store
	digest  *digester // nil for none
	limit   *requestLimit
	rate    movingRate // requires hooks.mu

	mu       sync.Mutex // held while the fields below and the state of the Uploader are used
	known    status
	reported time.Time // of the last progress while bytes are sent
	renewing *renewing // nil while nothing is driven, and without a store
}

// status is what the getters return.
type status struct {
	url       *url.URL
	info      SourceInfo
	source    Source // nil before the first Stat
	metadata  Metadata
	offset    int64
	highest   int64 // offset ever acknowledged
	request   int64 // size of the largest request whose effect is unknown; 0 for none
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
		s.info, s.offset, s.highest, s.request = a.info, a.offset, max(s.highest, a.offset), a.request
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
	if err := l.currentRecord().recheck(ctx); err != nil && ctx.Err() == nil {
		l.driving.interrupt(err)
	}
}

// recordRevision returns the revision of the record as stored last, 0 for none.
func (l *ledger) recordRevision() int64 { return l.currentRecord().revision() }

// currentRecord may be called by a goroutine that does not drive the upload.
func (l *ledger) currentRecord() *record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record
}

// setRecord replaces the record. Renewals read it in another goroutine.
func (l *ledger) setRecord(r *record) {
	l.mu.Lock()
	if r != nil {
		r.digest, r.progress = l.digest, l.progress
	}
	l.record = r
	l.mu.Unlock()
}

// progress returns how far the upload is, for the record.
func (l *ledger) progress() storage.Progress {
	known := l.status()
	return storage.Progress{Acknowledged: known.offset, InFlight: known.request, Limit: l.limit.get()}
}

// sending has the record put soon, with the request that is about to be sent.
func (l *ledger) sending() {
	l.refresh()
	delay := noteDelay
	if l.limit.get() > 0 || l.counters.resumedFrom() > 0 {
		delay = soonDelay
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewing != nil {
		l.renewing.within(delay)
	}
}
