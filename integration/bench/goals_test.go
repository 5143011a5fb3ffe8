package main

import (
	"strings"
	"testing"
)

func find(t *testing.T, goals []goal, text string) goal {
	t.Helper()
	for _, g := range goals {
		if strings.Contains(g.text, text) {
			return g
		}
	}
	t.Fatalf("no goal %q in %+v", text, goals)
	return goal{}
}

func TestJudge_ComparesRatiosWithGoals(t *testing.T) {
	flat := flatness{sizes: []memoryAt{{64 * mib, 13 * mib}, {8 * gib, 14 * mib}}}
	results := sampleResults()
	for _, test := range []struct {
		goal, measured string
		met            bool
	}{
		{"wall time / baseline", "1.02", true},
		{"CPU / baseline", "1.05", true},
		{"4 parts / single", "4.00", true},
		{"any file", "13.0 MiB", true},
		{"flat", "13.0 MiB to 14.0 MiB", true},
	} {
		if g := find(t, judge(results, flat), test.goal); g.measured != test.measured || g.met != test.met {
			t.Errorf("%s: %+v", test.goal, g)
		}
	}

	results[0].rows[1].wallRatio, results[0].rows[1].rss = 1.06, 41*mib
	results[1].rows[3].wallRatio = 0.3
	flat.sizes[1].rss = 18 * mib
	for _, missed := range []string{"wall time / baseline", "4 parts / single", "any file", "flat"} {
		if g := find(t, judge(results, flat), missed); g.met {
			t.Errorf("%s: %+v", missed, g)
		}
	}
}

func TestJudge_FailedUploadMissesGoal(t *testing.T) {
	results := sampleResults()[:1]
	results[0].rows[1] = row{name: nameTus}
	if goals := judge(results, flatness{}); len(goals) != 1 || goals[0].met {
		t.Errorf("goals are %+v", goals)
	}
}
