package rufh_test

import (
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/internal/rufh"
)

func TestSetComplete_InvertedInVersion3(t *testing.T) {
	for _, d := range rufh.Drafts() {
		name, yes, no := "Upload-Complete", "?1", "?0"
		if d.Interop == 3 {
			name, yes, no = "Upload-Incomplete", "?0", "?1"
		}
		for complete, want := range map[bool]string{true: yes, false: no} {
			h := http.Header{}
			d.SetComplete(h, complete)
			if len(h) != 1 || h.Get(name) != want {
				t.Errorf("version %d, %v: header is %v", d.Interop, complete, h)
			}
			if got, known := d.Complete(h); got != complete || !known {
				t.Errorf("version %d: %v is read as %v, %v", d.Interop, h, got, known)
			}
		}
	}
}

func TestComplete_ReadsFieldOfOtherVersion(t *testing.T) {
	for _, test := range []struct {
		interop         int
		header          http.Header
		complete, known bool
	}{
		{3, header("Upload-Complete", "?1"), true, true}, // SwiftNIO
		{3, header("Upload-Complete", "?1", "Upload-Incomplete", "?1"), false, true},
		{5, header("Upload-Incomplete", "?0"), true, true}, // SwiftNIO
		{6, header("Upload-Incomplete", "?1"), false, true},
		{6, header("Upload-Incomplete", "?1", "Upload-Complete", "?1"), true, true},
		{7, header("Upload-Incomplete", "?0"), false, false},
		{9, header("Upload-Complete", "?1;why=late"), true, true},
		{9, header("Upload-Complete", "1"), false, false},
		{9, header("Upload-Complete", "true"), false, false},
		{9, header("Upload-Complete", "?1", "Upload-Complete", "?1"), false, false},
		{9, header(), false, false},
		{3, header(), false, false},
	} {
		if complete, known := lookup(t, test.interop).Complete(test.header); complete != test.complete || known != test.known {
			t.Errorf("version %d: %v is %v, %v", test.interop, test.header, complete, known)
		}
	}
}

func TestOutcome(t *testing.T) {
	yes, no, absent := header("Upload-Complete", "?1"), header("Upload-Complete", "?0"), header()
	for _, test := range []struct {
		name   string
		from   int // first version, to the newest
		to     int
		status int
		header http.Header
		ended  bool
		want   rufh.Outcome
	}{
		{"the target's success", 7, 9, 200, yes, true, rufh.Completed},
		{"the target's success to an incomplete request", 7, 9, 200, yes, false, rufh.Completed},
		{"a redirect of the target", 7, 9, 303, yes, true, rufh.Completed},
		{"a temporary redirect of the target", 7, 9, 307, yes, true, rufh.Completed},
		{"the target's refusal", 7, 9, 422, yes, true, rufh.Rejected},
		{"the target's early refusal", 7, 9, 403, yes, false, rufh.Rejected},
		{"the target's failure", 7, 9, 500, yes, true, rufh.Rejected},
		{"a success without the field", 3, 9, 201, absent, true, rufh.Completed},
		{"a success with the field", 4, 9, 201, yes, true, rufh.Completed},
		{"a short success", 4, 9, 204, no, true, rufh.Stored},
		{"an incomplete append", 4, 9, 204, no, false, rufh.Stored},
		{"an incomplete append without the field", 3, 9, 204, absent, false, rufh.Stored},
		{"the slip of the text", 4, 6, 201, yes, false, rufh.Stored},
		{"the slip in version 3", 3, 3, 201, header("Upload-Incomplete", "?0"), false, rufh.Stored},
		{"an incomplete append of version 3", 3, 3, 201, header("Upload-Incomplete", "?1"), false, rufh.Stored},
		{"a short success of version 3", 3, 3, 201, header("Upload-Incomplete", "?1"), true, rufh.Stored},
		{"a success of version 3", 3, 3, 201, header("Upload-Incomplete", "?0"), true, rufh.Completed},
		{"SwiftNIO in 3", 3, 3, 201, yes, true, rufh.Completed},
		{"SwiftNIO in 5 and 6", 5, 6, 201, header("Upload-Incomplete", "?0"), true, rufh.Completed},
		{"an old refusal", 3, 6, 422, yes, true, rufh.Undecided},
		{"a conflict", 4, 9, 409, no, true, rufh.Undecided},
		{"a failure", 3, 9, 503, absent, true, rufh.Undecided},
		{"a redirect", 3, 9, 307, absent, true, rufh.Undecided},
		{"too large", 4, 9, 413, no, false, rufh.Undecided},
		{"an informational response", 4, 9, 104, yes, true, rufh.Undecided},
	} {
		for interop := test.from; interop <= test.to; interop++ {
			if got := lookup(t, interop).Outcome(test.status, test.header, test.ended); got != test.want {
				t.Errorf("%s, version %d: outcome is %d, want %d", test.name, interop, got, test.want)
			}
		}
		if test.to == rufh.Newest {
			if got := lookup(t, rufh.RFC).Outcome(test.status, test.header, test.ended); got != test.want {
				t.Errorf("%s, RFC: outcome is %d, want %d", test.name, got, test.want)
			}
		}
	}
}

func TestOffsetAndLength(t *testing.T) {
	for value, want := range map[string]int64{
		"0": 0, "12": 12, "12;a": 12, "999999999999999": rufh.MaxSize,
		"": -1, "-1": -1, "1.0": -1, "1000000000000000": -1, "?1": -1, "1, 1": -1,
	} {
		n, ok := rufh.Offset(header("Upload-Offset", value))
		if ok != (want >= 0) || ok && n != want {
			t.Errorf("offset %q is %d, %v", value, n, ok)
		}
		n, ok = rufh.Length(header("Upload-Length", value))
		if ok != (want >= 0) || ok && n != want {
			t.Errorf("length %q is %d, %v", value, n, ok)
		}
	}
	h := http.Header{}
	if !rufh.SetOffset(h, 5) || !rufh.SetLength(h, rufh.MaxSize) || h.Get("Upload-Offset") != "5" || h.Get("Upload-Length") != "999999999999999" {
		t.Errorf("header is %v", h)
	}
	if rufh.SetOffset(h, -1) || rufh.SetLength(h, rufh.MaxSize+1) || h.Get("Upload-Offset") != "5" {
		t.Error("an invalid offset or length was set")
	}
}

func TestOffered_ByLimitOrAcceptPatch(t *testing.T) {
	for _, test := range []struct {
		header http.Header
		want   bool
	}{
		{header("Upload-Limit", "min-size=0"), true},
		{header("Upload-Limit", ""), true},
		{header("Upload-Limit", "min-size"), false},
		{header("Accept-Patch", "application/partial-upload"), true},
		{header("Accept-Patch", "text/x-diff, Application/Partial-Upload; x=y"), true},
		{header("Accept-Patch", "application/offset+octet-stream"), false},
		{header(), false},
	} {
		if got := lookup(t, 9).Offered(test.header); got != test.want {
			t.Errorf("%v is %v", test.header, got)
		}
	}
}

func FuzzOutcome(f *testing.F) {
	f.Add(9, 200, "?1", "?0", true)
	f.Add(5, 201, "", "?0", true)
	f.Add(4, 422, "?1", "", false)
	f.Fuzz(func(t *testing.T, interop, status int, complete, incomplete string, ended bool) {
		d, ok := rufh.Lookup(interop)
		if !ok {
			return
		}
		h := header("Upload-Complete", complete, "Upload-Incomplete", incomplete)
		got := d.Outcome(status, h, ended)
		stated, known := d.Complete(h)
		success := 200 <= status && status < 300
		if got == rufh.Completed && known && !stated {
			t.Error("completed, although the response denies it")
		}
		if got == rufh.Completed && !success && !d.Authoritative {
			t.Error("completed without success")
		}
		if got == rufh.Stored && !success || got == rufh.Rejected && status < 400 || success && got == rufh.Undecided {
			t.Errorf("%d is %d", status, got)
		}
	})
}
