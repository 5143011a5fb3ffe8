package tus

import "time"

// progressInterval is the least time between two reports while bytes move.
const progressInterval = 100 * time.Millisecond

// reportMovement tells the hooks that bytes moved, unless they were just told.
// The transport calls it.
func (u *Uploader) reportMovement() {
	u.mu.Lock()
	now := time.Now()
	early := now.Sub(u.reported) < progressInterval
	if !early {
		u.reported = now
	}
	u.mu.Unlock()
	if !early {
		u.reportProgress()
	}
}

func (u *Uploader) reportProgress() {
	if u.position != nil {
		return // the whole upload does
	}
	u.hookTurn.Lock()
	defer u.hookTurn.Unlock()
	u.mu.Lock()
	parts := u.parts
	u.mu.Unlock()
	sent := u.counters.sentUpTo()
	if parts != nil {
		sent = parts.sent()
	}
	u.mu.Lock()
	p := Progress{
		Uploader:     u,
		Name:         u.info.Name,
		Acknowledged: u.highest,
		Sent:         max(sent, u.highest),
		Total:        u.info.Size,
		TotalUnknown: u.info.SizeUnknown,
	}
	u.mu.Unlock()
	u.progress.progress(p)
}
