package main

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestMedian_OfUnsortedValues(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1000, 1, 2}, 3},
	} {
		before := append([]float64(nil), test.values...)
		if got := median(test.values); got != test.want {
			t.Errorf("median of %v is %v, want %v", test.values, got, test.want)
		}
		for i, v := range before {
			if test.values[i] != v {
				t.Errorf("%v was reordered", before)
			}
		}
	}
}

func samples(walls ...time.Duration) []sample {
	var all []sample
	for _, w := range walls {
		all = append(all, sample{wall: w, cpu: w / 2, rss: mib, requests: 2, bytes: 100})
	}
	return all
}

// Load in one round slows both clients down, so that their ratio is unaffected.
func TestSummarize_ComparesWithinEachRound(t *testing.T) {
	c := &contest{contenders: []*contender{
		{name: nameBaseline, samples: samples(10, 1000, 30)},
		{name: nameTus, samples: samples(20, 2000, 60)},
		{name: nameCurl, samples: samples(40), failure: errors.New("later")},
	}}
	r := summarize(c)
	ours, ok := r.row(nameTus)
	if !ok || ours.wallRatio != 2 || ours.cpuRatio != 2 || ours.wall != 60 || ours.cpu != 30 || ours.rss != mib || ours.requests != 2 || ours.bytes != 100 {
		t.Errorf("row is %+v, %v", ours, ok)
	}
	if baseline, _ := r.row(nameBaseline); baseline.wallRatio != 1 {
		t.Errorf("ratio of the baseline is %v", baseline.wallRatio)
	}
	if _, ok := r.row(nameCurl); ok || r.rows[2].failure == nil {
		t.Errorf("a failed client has the row %+v", r.rows[2])
	}
}

func TestSummarize_WithoutBaselineHasNoRatio(t *testing.T) {
	c := &contest{contenders: []*contender{
		{name: nameBaseline, failure: errors.New("no")},
		{name: nameTus, samples: samples(20)},
	}}
	if ours, ok := summarize(c).row(nameTus); !ok || ours.wall != 20 || ours.wallRatio != 0 {
		t.Errorf("row is %+v, %v", ours, ok)
	}
}

func TestBestOther_SkipsOursAndBaseline(t *testing.T) {
	r := sampleResults()[0]
	if got := r.bestOther(); got != 12 {
		t.Errorf("best other is %v", got)
	}
	if got := (result{}).bestOther(); !math.IsInf(got, 1) {
		t.Errorf("best of no clients is %v", got)
	}
}
