package tus

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
)

// planned returns the spans of planSpans. It fails unless they cover the source once and in
// order, and have the documented sizes.
func planned(t *testing.T, size int64, connections int, least int64) []span {
	t.Helper()
	spans := planSpans(size, connections, least)
	if least == 0 {
		least = defaultMinPartSize
	}
	end := int64(0)
	for i, s := range spans {
		last := i == len(spans)-1
		switch {
		case s.offset != end || s.size <= 0 || s.size > size-end:
			t.Fatalf("planSpans(%d, %d, %d): part %d is %+v and should begin at %d", size, connections, least, i, s, end)
		case s.size < least && !last:
			t.Fatalf("planSpans(%d, %d, %d): part %d has only %d bytes", size, connections, least, i, s.size)
		case s.size > spans[0].size:
			t.Fatalf("planSpans(%d, %d, %d): part %d is larger than the first", size, connections, least, i)
		case spans[0].size > partAlignment && s.offset%partAlignment != 0:
			t.Fatalf("planSpans(%d, %d, %d): part %d begins at %d", size, connections, least, i, s.offset)
		}
		end += s.size
	}
	if end != size {
		t.Fatalf("planSpans(%d, %d, %d) covers %d bytes", size, connections, least, end)
	}
	if len(spans) > max(connections, maxPlannedParts) {
		t.Fatalf("planSpans(%d, %d, %d) has %d parts", size, connections, least, len(spans))
	}
	return spans
}

func TestPlanSpans_TileAnySource(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	// magnitude returns a random number with a random number of digits, below 2^bits.
	magnitude := func(bits int) int64 {
		return random.Int64N(int64(1)<<random.IntN(bits+1)) + random.Int64N(2)
	}
	for range 100_000 {
		size, connections, least := magnitude(62), 2+random.IntN(63), magnitude(62)
		spans := planned(t, size, connections, least)
		if least == 0 {
			least = defaultMinPartSize
		}
		// Rounding up to the alignment reduces the number of parts only of a small source.
		n := int64(connections)
		if size/n > n*partAlignment && size/n >= least+partAlignment && len(spans) < connections {
			t.Fatalf("planSpans(%d, %d, %d) has only %d parts", size, connections, least, len(spans))
		}
	}
}

func TestPlanSpans_ExtremeSizes(t *testing.T) {
	sizes := []int64{
		0, 1, 2, partAlignment, partAlignment + 1, defaultMinPartSize - 1, defaultMinPartSize, defaultMinPartSize + 1,
		math.MaxInt32, math.MaxUint32 + 2, 1<<62 - 1, 1 << 62, 1<<62 + 1, math.MaxInt64 - 1, math.MaxInt64,
	}
	least := []int64{0, 1, partAlignment, partAlignment + 1, 1 << 40, 1 << 62, 1<<62 + 1, math.MaxInt64 - partAlignment, math.MaxInt64 - 1, math.MaxInt64}
	for _, size := range sizes {
		for _, connections := range []int{2, 3, 7, 8, 31, 32, 33, 49, 64} {
			for _, least := range least {
				planned(t, size, connections, least)
			}
		}
	}
}

func TestPlanSpans_LargePartsAreDivided(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	tests := []struct {
		size        int64
		connections int
		least       int64
		parts       int
	}{
		{20 * mib, 4, 0, 4},
		{20 * mib, 8, 0, 4}, // none below 5 MiB
		{10*mib + 1, 2, 0, 2},
		{5 * mib, 2, 0, 1},
		{5*mib + 1, 2, 0, 1},
		{1 * gib, 4, 0, 16},
		{1 * gib, 8, 0, 16},
		{1 * gib, 16, 0, 16},
		{100 * gib, 4, 0, 16},
		{100 * gib, 8, 0, 32},
		{100 * gib, 30, 0, 32},
		{100 * gib, 40, 0, 40},
		{1 * gib, 4, 300 * mib, 4},
		{1000, 4, 100, 4},
		{1000, 4, 400, 3},
		{1, 8, 1, 1},
		{0, 8, 0, 0},
	}
	for _, test := range tests {
		if got := len(planned(t, test.size, test.connections, test.least)); got != test.parts {
			t.Errorf("planSpans(%d, %d, %d) has %d parts, want %d", test.size, test.connections, test.least, got, test.parts)
		}
	}
}

func TestSpansAt_Boundaries(t *testing.T) {
	tests := []struct {
		size       int64
		boundaries []int64
		want       []span
	}{
		{10, nil, []span{{0, 10}}},
		{10, []int64{}, []span{{0, 10}}},
		{10, []int64{1}, []span{{0, 1}, {1, 9}}},
		{10, []int64{9}, []span{{0, 9}, {9, 1}}},
		{10, []int64{3, 4, 7}, []span{{0, 3}, {3, 1}, {4, 3}, {7, 3}}},
		{math.MaxInt64, []int64{1, math.MaxInt64 - 1}, []span{{0, 1}, {1, math.MaxInt64 - 2}, {math.MaxInt64 - 1, 1}}},
	}
	for _, test := range tests {
		if got := spansAt(test.size, test.boundaries); !slices.Equal(got, test.want) {
			t.Errorf("spansAt(%d, %v) = %v, want %v", test.size, test.boundaries, got, test.want)
		}
	}
}

func TestAscending_Boundaries(t *testing.T) {
	for _, good := range [][]int64{nil, {}, {1}, {1, 2}, {5, math.MaxInt64}} {
		if !ascending(good) {
			t.Errorf("ascending(%v) is false", good)
		}
	}
	for _, bad := range [][]int64{{0}, {-1}, {0, 1}, {1, 1}, {2, 1}, {1, 2, 2}, {math.MinInt64}} {
		if ascending(bad) {
			t.Errorf("ascending(%v) is true", bad)
		}
	}
}

func TestTile_PartsCoverSource(t *testing.T) {
	part := func(offset, size int64) storage.Part { return storage.Part{Offset: offset, Size: size} }
	tests := map[string]struct {
		parts []storage.Part
		want  bool
	}{
		"one":                   {[]storage.Part{part(0, 10)}, true},
		"three":                 {[]storage.Part{part(0, 3), part(3, 1), part(4, 6)}, true},
		"none":                  {nil, false},
		"hole at the start":     {[]storage.Part{part(1, 9)}, false},
		"hole":                  {[]storage.Part{part(0, 3), part(4, 6)}, false},
		"overlap":               {[]storage.Part{part(0, 5), part(4, 6)}, false},
		"too short":             {[]storage.Part{part(0, 5), part(5, 4)}, false},
		"too long":              {[]storage.Part{part(0, 5), part(5, 6)}, false},
		"out of order":          {[]storage.Part{part(5, 5), part(0, 5)}, false},
		"twice":                 {[]storage.Part{part(0, 10), part(0, 10)}, false},
		"empty part":            {[]storage.Part{part(0, 5), part(5, 0), part(5, 5)}, false},
		"negative part":         {[]storage.Part{part(0, 12), part(12, -2)}, false},
		"sizes that wrap round": {[]storage.Part{part(0, math.MaxInt64), part(math.MaxInt64, math.MaxInt64), part(-2, 12)}, false},
	}
	for name, test := range tests {
		if got := tile(storage.Record{Parts: test.parts, Size: 10}); got != test.want {
			t.Errorf("%s: tile is %v", name, got)
		}
	}
}
