package main

import (
	"math"
	"slices"
	"time"
)

// result is the result of one workload.
type result struct {
	workload workload
	rows     []row
}

// row holds the medians of one client in one workload.
type row struct {
	name     string
	failure  error // if non-nil, the other fields are unset
	wall     time.Duration
	cpu      time.Duration
	rss      int64
	requests int64
	bytes    int64

	// Multiples of the baseline's cost: the median of the ratios of all rounds; 0
	// if unknown.
	wallRatio float64
	cpuRatio  float64
}

// summarize compares all contenders with the first one, the baseline.
func summarize(c *contest) result {
	r := result{workload: c.workload}
	for _, e := range c.contenders {
		r.rows = append(r.rows, newRow(e, c.contenders[0].samples))
	}
	return r
}

func newRow(e *contender, baseline []sample) row {
	if e.failure != nil || len(e.samples) == 0 {
		return row{name: e.name, failure: e.failure}
	}
	of := func(f func(sample) float64) float64 {
		values := make([]float64, len(e.samples))
		for i, s := range e.samples {
			values[i] = f(s)
		}
		return median(values)
	}
	ratio := func(f func(sample) float64) float64 {
		var values []float64
		for i := range min(len(e.samples), len(baseline)) {
			if base := f(baseline[i]); base > 0 {
				values = append(values, f(e.samples[i])/base)
			}
		}
		return median(values)
	}
	wall := func(s sample) float64 { return float64(s.wall) }
	cpu := func(s sample) float64 { return float64(s.cpu) }
	return row{
		name: e.name,
		wall: time.Duration(of(wall)), cpu: time.Duration(of(cpu)),
		rss:       int64(of(func(s sample) float64 { return float64(s.rss) })),
		requests:  int64(of(func(s sample) float64 { return float64(s.requests) })),
		bytes:     int64(of(func(s sample) float64 { return float64(s.bytes) })),
		wallRatio: ratio(wall), cpuRatio: ratio(cpu),
	}
}

// median returns the median of values, 0 if there are none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// row returns the row of a client, and false if the client did not run or failed.
func (r result) row(name string) (row, bool) {
	i := slices.IndexFunc(r.rows, func(row row) bool { return row.name == name })
	if i < 0 || r.rows[i].wall == 0 {
		return row{}, false
	}
	return r.rows[i], true
}

// bestOther returns the shortest wall time of the other clients that can resume, as
// a multiple of the baseline's; infinite if there are none. Clients without state,
// such as curl, have less to do.
func (r result) bestOther() float64 {
	best := math.Inf(1)
	for _, row := range r.rows {
		if resumes(row.name) && row.wallRatio > 0 {
			best = min(best, row.wallRatio)
		}
	}
	return best
}

func resumes(client string) bool {
	return client != nameBaseline && client != nameTus && client != nameHTTP && client != nameCurl
}
