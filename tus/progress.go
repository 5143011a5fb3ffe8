package tus

import (
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// progressInterval is the least time between two reports while bytes move.
const progressInterval = 100 * time.Millisecond

// progressReporter calls the hooks of an upload one at a time.
type progressReporter struct {
	turn  sync.Mutex // held while a hook runs
	hooks hookSet    // OnProgress of these is called; needs turn

	mu   sync.Mutex
	last time.Time // of the last report while bytes moved
}

// due reports whether it is time for a report while bytes move.
func (p *progressReporter) due() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.last) < progressInterval {
		return false
	}
	p.last = now
	return true
}

// reportMovement tells the hooks that bytes moved, unless they were just told.
// The transport calls it.
func (u *Uploader) reportMovement() {
	if !u.progress.due() {
		return
	}
	u.progress.turn.Lock()
	defer u.progress.turn.Unlock()
	if u.work != nil {
		u.reportProgress()
	}
}

// changed takes over what is known of the upload, and reports it.
func (u *Uploader) changed() {
	u.progress.turn.Lock()
	defer u.progress.turn.Unlock()
	u.refreshLocked()
	u.reportProgress()
}

// refresh takes over what is known of the upload.
func (u *Uploader) refresh() {
	u.progress.turn.Lock()
	defer u.progress.turn.Unlock()
	u.refreshLocked()
}

// refreshLocked needs the turn, so that a later account is not replaced by an earlier one.
func (u *Uploader) refreshLocked() {
	a := u.work.account()
	expires := false
	u.learn(func(s *status) {
		s.info, s.offset, s.highest = a.info, a.offset, max(s.highest, a.offset)
		s.checksum = u.planner.sums.algorithm.Name
		if expires = !a.expires.IsZero() && !a.expires.Equal(s.expires); expires {
			s.expires = a.expires
		}
	})
	if expires {
		u.record.saveLazily(func(rec *storage.Record) { rec.Expires = a.expires })
	}
}

// reportProgress needs the turn.
func (u *Uploader) reportProgress() {
	known, sent := u.status(), u.work.account().sent
	u.progress.hooks.progress(Progress{
		Uploader:     u,
		Name:         known.info.Name,
		Acknowledged: known.highest,
		Sent:         max(sent, known.highest),
		Total:        known.info.Size,
		TotalUnknown: known.info.SizeUnknown,
	})
}
