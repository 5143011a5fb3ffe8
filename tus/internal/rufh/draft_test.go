package rufh_test

import (
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/internal/rufh"
)

// header returns a header of alternating names and values.
func header(fields ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(fields); i += 2 {
		h.Add(fields[i], fields[i+1])
	}
	return h
}

func lookup(t *testing.T, interop int) rufh.Draft {
	t.Helper()
	d, ok := rufh.Lookup(interop)
	if !ok {
		t.Fatalf("version %d is unknown", interop)
	}
	return d
}

func TestLookup_KnowsVersions3To9AndRFC(t *testing.T) {
	for _, want := range rufh.Drafts() {
		if d, ok := rufh.Lookup(want.Interop); !ok || d != want {
			t.Errorf("version %d is %+v, %v", want.Interop, d, ok)
		}
		if d, ok := rufh.LookupName(want.Name()); !ok || d != want {
			t.Errorf("name %q is %+v, %v", want.Name(), d, ok)
		}
	}
	for interop := 3; interop <= rufh.Newest; interop++ {
		lookup(t, interop)
	}
	lookup(t, rufh.RFC)
	for _, interop := range []int{0, 2, rufh.Newest + 1, -2} {
		if d, ok := rufh.Lookup(interop); ok {
			t.Errorf("version %d is %+v", interop, d)
		}
	}
	for _, name := range []string{"", "rufh/", "rufh/0", "rufh/10", "rufh/06", "tus/1.0.0"} {
		if d, ok := rufh.LookupName(name); ok {
			t.Errorf("name %q is %+v", name, d)
		}
	}
	if name := lookup(t, rufh.RFC).Name(); name != "rufh" {
		t.Errorf("the name of the RFC is %q", name)
	}
}

func TestDrafts_DifferByVersion(t *testing.T) {
	for _, d := range rufh.Drafts() {
		n := d.Interop
		if n == rufh.RFC {
			n = rufh.Newest
		}
		want := rufh.Draft{Interop: d.Interop, Inverted: n == 3, PartialUpload: n >= 6, Limited: n >= 6, Expires: n == 6, Authoritative: n >= 7, Replays: n >= 9}
		if d != want {
			t.Errorf("version %d is %+v", d.Interop, d)
		}
	}
}

func TestStamp_OmittedByRFC(t *testing.T) {
	h := http.Header{}
	lookup(t, 9).Stamp(h)
	if h.Get("Upload-Draft-Interop-Version") != "9" {
		t.Errorf("header is %v", h)
	}
	h = http.Header{}
	lookup(t, rufh.RFC).Stamp(h)
	if len(h) > 0 {
		t.Errorf("header of the RFC is %v", h)
	}
}

func TestNotice(t *testing.T) {
	const interop = "Upload-Draft-Interop-Version"
	location := header(interop, "9", "Location", "/1", "Upload-Limit", "max-size=5")
	for _, test := range []struct {
		interop, status int
		header          http.Header
		ok              bool
		want            rufh.Notice
	}{
		{9, 104, location, true, rufh.Notice{Location: "/1", Limits: rufh.Limits{MaxSize: rufh.Limit{Value: 5, Set: true}}}},
		{9, 104, header(interop, "9", "Upload-Offset", "7"), true, rufh.Notice{Offset: 7, HasOffset: true}},
		{9, 104, header(interop, "9", "Upload-Offset", "0"), true, rufh.Notice{HasOffset: true}},
		{9, 104, header(interop, "9", "Upload-Offset", "-1"), true, rufh.Notice{}},
		{9, 104, header(interop, "9;a=b"), true, rufh.Notice{}},
		{9, 103, location, false, rufh.Notice{}},
		{9, 100, location, false, rufh.Notice{}},
		{8, 104, location, false, rufh.Notice{}},
		{9, 104, header("Location", "/1"), false, rufh.Notice{}},
		{9, 104, header(interop, `"9"`), false, rufh.Notice{}},
		{9, 104, header(interop, "9", interop, "9"), false, rufh.Notice{}},
		{rufh.RFC, 104, header("Location", "/1"), true, rufh.Notice{Location: "/1"}},
		{rufh.RFC, 104, header("Location", "/1", interop, "9"), true, rufh.Notice{Location: "/1"}},
	} {
		if got, ok := lookup(t, test.interop).Notice(test.status, test.header); ok != test.ok || got != test.want {
			t.Errorf("version %d: %d %v is %+v, %v", test.interop, test.status, test.header, got, ok)
		}
	}
}
