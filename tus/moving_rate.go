package tus

import "time"

const (
	// rateWindow is the period over which a rate is measured: long enough to be steady,
	// short enough to follow the link.
	rateWindow = 5 * time.Second
	// minRatePeriod is the minimum period of a rate. The first bytes only fill the buffers
	// of the system, so that an earlier rate would be too high.
	minRatePeriod = time.Second
	// minSampleInterval is the minimum time between two samples.
	minSampleInterval = 250 * time.Millisecond
)

// movingRate measures how fast a count grows.
type movingRate struct {
	count   int64
	samples []rateSample // oldest first; at most one is older than the window
}

type rateSample struct {
	at    time.Time
	count int64
}

// add sets the count. If it falls, because bytes in flight were lost, the rate falls, but
// is never negative.
func (r *movingRate) add(at time.Time, count int64) {
	if count < r.count {
		for i := range r.samples {
			r.samples[i].count = min(r.samples[i].count, count)
		}
	}
	r.count = count
	if n := len(r.samples); n == 0 || at.Sub(r.samples[n-1].at) >= minSampleInterval {
		r.samples = append(r.samples, rateSample{at, count})
	}
	for len(r.samples) > 1 && at.Sub(r.samples[1].at) >= rateWindow {
		r.samples = r.samples[1:]
	}
}

// perSecond returns the growth per second, 0 while it is unknown.
func (r *movingRate) perSecond(now time.Time) int64 {
	if len(r.samples) == 0 {
		return 0
	}
	r.add(now, r.count)
	elapsed := now.Sub(r.samples[0].at)
	if elapsed < minRatePeriod {
		return 0
	}
	return int64(float64(r.count-r.samples[0].count) / elapsed.Seconds())
}

// remaining returns how long the bytes take at a rate, 0 if that is unknown.
func remaining(bytes, rate int64) time.Duration {
	if rate <= 0 || bytes <= 0 {
		return 0
	}
	const longest = 1<<63 - 1
	return time.Duration(min(float64(bytes)/float64(rate)*float64(time.Second), longest/2))
}
