package tus

import (
	"sync/atomic"
	"time"
)

const (
	// defaultCreationLimit is the maximum number of bytes in a creation while the rate of
	// the link is unknown, and on slow links.
	defaultCreationLimit = 1 << 20
	// maxCreationLimit is the maximum on fast links.
	maxCreationLimit = 8 << 20
	// minMeasured is the minimum size of a request whose rate is measured.
	minMeasured = 256 << 10
)

// sendRate is the rate of the last large request.
type sendRate struct{ perSecond atomic.Int64 }

// measure records the rate of a successful request that carried sent bytes.
func (r *sendRate) measure(sent int64, took time.Duration) {
	if sent >= minMeasured {
		r.perSecond.Store(int64(float64(sent) / max(took, time.Microsecond).Seconds()))
	}
}

// creationLimit returns how many bytes a creation may carry: those of about a second.
func (r *sendRate) creationLimit() int64 {
	return min(max(r.perSecond.Load(), defaultCreationLimit), maxCreationLimit)
}
