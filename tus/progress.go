package tus

import (
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
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

// reportMovement reports progress while bytes are sent. The transport calls it.
func (u *Uploader) reportMovement() {
	if !u.movement.due() {
		return
	}
	u.hooks.mu.Lock()
	defer u.hooks.mu.Unlock()
	if u.work != nil {
		u.reportProgress()
	}
}

// changed refreshes the status and reports progress.
func (u *Uploader) changed() {
	u.hooks.mu.Lock()
	defer u.hooks.mu.Unlock()
	u.refreshLocked()
	u.reportProgress()
}

// refresh updates the status from the delivery.
func (u *Uploader) refresh() {
	u.hooks.mu.Lock()
	defer u.hooks.mu.Unlock()
	u.refreshLocked()
}

// refreshLocked needs the lock of the hooks, so that no older account replaces a newer one.
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

// reportProgress needs the lock of the hooks.
func (u *Uploader) reportProgress() {
	known, sent := u.status(), u.work.account().sent
	u.hooks.progress(Progress{
		Acknowledged: known.highest,
		InFlight:     max(0, sent-known.highest),
		Size:         known.info.Size,
		SizeUnknown:  known.info.SizeUnknown,
	})
}
