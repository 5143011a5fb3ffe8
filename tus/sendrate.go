package tus

import (
	"sync/atomic"
	"time"
)

const (
	// defaultCreationLimit bounds the bytes that go with a creation as long as the rate
	// of the link is unknown, and on slow links.
	defaultCreationLimit = 1 << 20
	// maxCreationLimit bounds them on fast links.
	maxCreationLimit = 8 << 20
	// leastMeasured is how many bytes tell the rate of a link.
	leastMeasured = 256 << 10
)

// sendRate is the rate at which the last request with many bytes was served.
type sendRate struct{ perSecond atomic.Int64 }

// measure takes in a successful request that carried sent bytes.
func (r *sendRate) measure(sent int64, took time.Duration) {
	if sent >= leastMeasured {
		r.perSecond.Store(int64(float64(sent) / max(took, time.Microsecond).Seconds()))
	}
}

// creationLimit is what leaves in about a second.
func (r *sendRate) creationLimit() int64 {
	return min(max(r.perSecond.Load(), defaultCreationLimit), maxCreationLimit)
}
