package rufh_test

import (
	"testing"

	"github.com/seed-175555ba/tus-go/tus/internal/rufh"
)

func set(n int64) rufh.Limit { return rufh.Limit{Value: n, Set: true} }

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		interop int
		line    string
		want    rufh.Limits
		ok      bool
	}{
		{9, "max-size=5, min-size=1, max-append-size=4, min-append-size=2, max-age=60", rufh.Limits{MaxSize: set(5), MinSize: set(1), MaxAppendSize: set(4), MinAppendSize: set(2), MaxAge: set(60)}, true},
		{9, "min-size=0", rufh.Limits{MinSize: set(0)}, true},
		{9, "max-size=0;why=full", rufh.Limits{MaxSize: set(0)}, true},
		{9, "", rufh.Limits{}, true},
		{9, "max-size=5, max-size=6", rufh.Limits{MaxSize: set(6)}, true},
		{9, `max-size=5, other="x", more=(1 2), flag`, rufh.Limits{MaxSize: set(5)}, true},
		{9, "expires=60", rufh.Limits{}, true},
		{6, "expires=60", rufh.Limits{MaxAge: set(60)}, true},
		{6, "max-age=60", rufh.Limits{}, true},
		{4, "min-size=0,max-size=9", rufh.Limits{MinSize: set(0), MaxSize: set(9)}, true}, // tusd
		{9, "max-size", rufh.Limits{}, false},
		{9, "max-size=5, min-size=?1", rufh.Limits{}, false},
		{9, `max-size="5"`, rufh.Limits{}, false},
		{9, "max-size=5.0", rufh.Limits{}, false},
		{9, "max-size=-1", rufh.Limits{}, false},
		{9, "max-size=1000000000000000", rufh.Limits{}, false},
		{9, "max-size=5,", rufh.Limits{}, false},
	} {
		if got, ok := lookup(t, test.interop).Limits(header("Upload-Limit", test.line)); ok != test.ok || got != test.want {
			t.Errorf("version %d: %q is %+v, %v", test.interop, test.line, got, ok)
		}
	}
	if got, ok := lookup(t, 9).Limits(header("Upload-Limit", "max-size=5", "Upload-Limit", "min-size=1")); !ok || got != (rufh.Limits{MaxSize: set(5), MinSize: set(1)}) {
		t.Errorf("two lines are %+v, %v", got, ok)
	}
	if got, ok := lookup(t, 9).Limits(header()); ok {
		t.Errorf("no field is %+v", got)
	}
}

func TestLimit_Compares(t *testing.T) {
	if l := set(5); l.ExceededBy(5) || !l.ExceededBy(6) || l.MissedBy(5) || !l.MissedBy(4) {
		t.Error("a limit of 5 is wrong")
	}
	if l := set(0); !l.ExceededBy(1) || l.ExceededBy(0) {
		t.Error("a limit of 0 is wrong")
	}
	if l := (rufh.Limit{}); l.ExceededBy(1<<62) || l.MissedBy(0) {
		t.Error("no limit is wrong")
	}
}

func TestLimits_OrKeepsOlder(t *testing.T) {
	now := rufh.Limits{MaxSize: set(0), MaxAge: set(1)}
	old := rufh.Limits{MaxSize: set(9), MinAppendSize: set(2)}
	if got := now.Or(old); got != (rufh.Limits{MaxSize: set(0), MinAppendSize: set(2), MaxAge: set(1)}) {
		t.Errorf("limits are %+v", got)
	}
}

func TestFormatLimits(t *testing.T) {
	l := rufh.Limits{MaxSize: set(5), MinAppendSize: set(2), MaxAge: set(60)}
	for interop, want := range map[int]string{
		6: "expires=60, max-size=5, min-append-size=2",
		9: "max-age=60, max-size=5, min-append-size=2",
	} {
		if got, ok := lookup(t, interop).FormatLimits(l); got != want || !ok {
			t.Errorf("version %d: limits are %q, %v", interop, got, ok)
		}
	}
	if got, ok := lookup(t, 9).FormatLimits(rufh.Limits{}); got != "min-size=0" || !ok {
		t.Errorf("no limits are %q, %v", got, ok)
	}
	for _, n := range []int64{-1, rufh.MaxSize + 1} {
		if got, ok := lookup(t, 9).FormatLimits(rufh.Limits{MaxSize: set(n)}); ok {
			t.Errorf("limits are %q", got)
		}
	}
}

func FuzzLimits(f *testing.F) {
	f.Add(9, "max-size=5, min-size=1, max-append-size=4, min-append-size=2, max-age=60")
	f.Add(6, "expires=5;a=b, x=(1)")
	f.Add(3, "max-size")
	f.Fuzz(func(t *testing.T, interop int, line string) {
		d, known := rufh.Lookup(interop)
		l, ok := d.Limits(header("Upload-Limit", line))
		if !ok || !known {
			return
		}
		again, ok := d.FormatLimits(l)
		if !ok {
			t.Fatalf("%q is %+v, which is not formatted", line, l)
		}
		if l == (rufh.Limits{}) {
			l.MinSize = set(0)
		}
		if got, ok := d.Limits(header("Upload-Limit", again)); !ok || got != l {
			t.Errorf("%q becomes %q", line, again)
		}
	})
}
