package main

import "time"

const (
	// rateWindow is how far back a rate looks: long enough to be steady, short
	// enough to follow the link.
	rateWindow = 5 * time.Second
	// rateLeast is what has to pass before there is a rate. What the system takes
	// at once, before the link matters, would promise too much.
	rateLeast = time.Second
	// rateGrain is the least time between two samples.
	rateGrain = 250 * time.Millisecond
)

// rateMeter measures how fast a count grows.
type rateMeter struct {
	count   int64
	samples []rateSample // oldest first, one at most from before the window
}

type rateSample struct {
	at    time.Time
	count int64
}

// note takes over the count. One that falls, as bytes were lost on their way,
// makes the rate smaller, and never negative.
func (m *rateMeter) note(at time.Time, count int64) {
	m.count = count
	for i := range m.samples {
		m.samples[i].count = min(m.samples[i].count, count)
	}
	if n := len(m.samples); n == 0 || at.Sub(m.samples[n-1].at) >= rateGrain {
		m.samples = append(m.samples, rateSample{at, count})
	}
	for len(m.samples) > 1 && at.Sub(m.samples[1].at) >= rateWindow {
		m.samples = m.samples[1:]
	}
}

// rate is the growth per second; false as long as it is not known.
func (m *rateMeter) rate(now time.Time) (float64, bool) {
	if len(m.samples) == 0 {
		return 0, false
	}
	m.note(now, m.count)
	elapsed := now.Sub(m.samples[0].at)
	if elapsed < rateLeast {
		return 0, false
	}
	return float64(m.count-m.samples[0].count) / elapsed.Seconds(), true
}
