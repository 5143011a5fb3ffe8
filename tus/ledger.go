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
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// progressInterval is the shortest time between two reports while bytes are sent.
const progressInterval = 100 * time.Millisecond

// movement limits how often progress is reported while bytes are sent.
type movement struct {
	mu       sync.Mutex
	reported time.Time
}

// due reports whether the last report is long enough ago.
func (m *movement) due() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.Sub(m.reported) < progressInterval {
		return false
	}
	m.reported = now
	return true
}

// ledger is what is known of an upload: for the getters, the hooks and the store. It is the
// owner of the delivery.
type ledger struct {
	requester
	turn   *turn
	work   delivery // nil until the source was looked at and the server asked
	record *record  // nil without a store

	movement movement
	mu       sync.Mutex // held while known is used, and the state of the Uploader
	known    status
}

// status is what the getters return.
type status struct {
	url       *url.URL
	info      SourceInfo
	offset    int64
	highest   int64 // offset ever acknowledged
	expires   time.Time
	checksum  string // negotiated algorithm
	creation  *Response
	lastPatch *Response
	kept      http.Header // of the creation, of this session or an earlier one
}

func (l *ledger) status() status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}

// learn changes the status.
func (l *ledger) learn(change func(*status)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.known)
}

// begin lets a delivery bring the bytes to the server.
func (l *ledger) begin(work delivery) {
	l.hooks.mu.Lock()
	defer l.hooks.mu.Unlock()
	l.work = work
}

// reportMovement reports progress while bytes are sent. The transport calls it.
func (l *ledger) reportMovement() {
	if !l.movement.due() {
		return
	}
	l.hooks.mu.Lock()
	defer l.hooks.mu.Unlock()
	if l.work != nil {
		l.reportProgress()
	}
}

// changed refreshes the status and reports progress.
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

// refreshLocked needs the lock of the hooks, so that no older account replaces a newer one.
func (l *ledger) refreshLocked() {
	a := l.work.account()
	expires := false
	l.learn(func(s *status) {
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

// reportProgress needs the lock of the hooks.
func (l *ledger) reportProgress() {
	known, sent := l.status(), l.work.account().sent
	l.hooks.progress(Progress{
		Acknowledged: known.highest,
		InFlight:     max(0, sent-known.highest),
		Size:         known.info.Size,
		SizeUnknown:  known.info.SizeUnknown,
	})
}

// save stores the upload as it is now. It exists, so that is done even if ctx has ended.
func (l *ledger) save(ctx context.Context) error {
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	l.refresh()
	known := l.status()
	return l.record.save(ctx, func(rec *storage.Record) {
		rec.UploadURL = ""
		if known.url != nil {
			rec.UploadURL = known.url.String()
		}
		rec.Expires, rec.CreationHeader = known.expires, known.kept
		l.work.describe(rec)
	})
}

// finishing stores that the request which completes the upload may be sent from now on.
func (l *ledger) finishing(ctx context.Context) error {
	err := saveEnd(ctx, l.record, func(rec *storage.Record) { rec.Finishing = true })
	if errors.Is(err, ErrLeaseLost) {
		l.turn.interrupt(err)
	}
	return err
}

// confirm makes sure that no other Uploader has the lease of the upload.
func (l *ledger) confirm(ctx context.Context) error { return l.record.confirm(ctx) }

// note is save, but may be delayed.
func (l *ledger) note() { l.record.saveLazily(l.work.describe) }

// describe sets what the records of this upload say of the source.
func (l *ledger) describe(key string, metadata Metadata) {
	l.record.source = storage.Record{
		Fingerprint: key, Endpoint: httpx.RedactURL(l.client.endpoint),
		Size: l.status().info.Size, Metadata: metadata,
	}
}

// setRecord replaces the record of the upload.
func (l *ledger) setRecord(r *record) {
	l.mu.Lock()
	l.record = r
	l.mu.Unlock()
}

// currentRecord is for goroutines other than the one that drives.
func (l *ledger) currentRecord() *record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record
}

// notComplete says that the server lacks bytes of the upload.
func notComplete(rec *storage.Record) { rec.Finishing, rec.Refusal = false, "" }

// saveEnd stores what is known of the last byte. The bytes wait for it, so a store that
// does not respond is given up soon.
func saveEnd(ctx context.Context, r *record, change func(*storage.Record)) error {
	if !r.stored() { // storing it failed; where that is made up for, it says so
		r.saveLazily(change)
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, storeTimeout, errStoreTimeout)
	defer cancel()
	return r.save(ctx, change)
}

// keepLease renews the lease while the upload is driven, and cuts what is in flight when
// it is lost. The function returned stops that and waits for it. panics takes those of the
// store and of hooks.
func (l *ledger) keepLease(ctx context.Context, panics *async.Panics) (stop func()) {
	if l.record == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	// Most uploads of small files are over before that, and need no goroutine.
	renewing := time.AfterFunc(renewalPause, func() {
		defer close(done)
		panics.Run(func() {
			for ctx.Err() == nil {
				if err := l.currentRecord().renew(ctx); err != nil && ctx.Err() == nil {
					l.turn.interrupt(err)
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
