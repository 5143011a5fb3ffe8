package tus_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
)

// verdict is the expected result of a cell.
type verdict struct {
	err       error // nil: the upload is completed
	status    int   // of the response that ended it; 0 for any
	leaves    leaves
	more      int // most requests beyond those of an upload without faults
	creations int // most further creations, without final uploads
	resent    func(way) int64
	missed    bool // there is no such request
}

// leaves is what a failed upload leaves for the next session.
type leaves int

const (
	resumable   leaves = iota // resumes at the offset of the server
	partly                    // resumes, but some parts start over
	nothing                   // starts over
	complete                  // sends nothing
	unconfirmed               // ends in ErrUnconfirmed and sends nothing
)

var (
	errTemporary = errors.New("temporary failure") // stands for tus.IsRetryable
	errRefused   = errors.New("refused")           // stands for a status without a sentinel
)

// fine is an upload that completes with more requests than without faults.
func fine(more int) verdict { return verdict{more: more} }

// fails is an upload that ends with an error.
func fails(err error, l leaves) verdict { return verdict{err: err, leaves: l, more: 20, creations: 8} }

// refused is an upload that ends with a response of the server.
func refused(status int, l leaves) verdict {
	v := fails(errRefused, l)
	v.status = status
	return v
}

// missed is a fault without a matching request.
func missed() verdict { return verdict{missed: true} }

// again allows bytes to be resent.
func (v verdict) again(n func(way) int64) verdict { v.resent = n; return v }

// creating allows further creations.
func (v verdict) creating(n int) verdict { v.creations = n; return v }

// request allows all bytes of one request to be resent.
func request(w way) int64 { return w.flight }

// rest allows the bytes after the cut of one request to be resent.
func rest(w way) int64 { return w.flight - faultCut }

// times allows all bytes of n requests to be resent.
func times(n int64) func(way) int64 { return func(w way) int64 { return n * w.flight } }

// begun allows the bytes of an earlier session to be resent.
func begun(way) int64 { return faultBegun }

// everything allows the whole source to be resent.
func everything(way) int64 { return faultSize }

// outcome is the result of an upload.
type outcome struct {
	result    *tus.Result
	err       error
	creations int   // that reached the server, without final uploads
	received  int64 // bytes that reached the server
	hits      int   // of the fault
	later     string
}

// check makes the next upload after a failed one, without faults. It must succeed, and
// resume as l says.
func (l leaves) check(t *testing.T, s *stage, w way, path, url string) string {
	s.script.end()
	s.listener.Reset(0)
	s.waitIdle(t)
	held, creations := s.held(t, url), s.creations()
	if n := len(s.records(t)); l == nothing && n != 0 && w.name != parallel { // other parts may be stored
		t.Errorf("%d records are left", n)
	}
	ctx, cancel := hangTimeout(s)
	defer cancel()
	client, source, resume := s.client(t, tus.Options{}), w.source(path), ""
	if w.once() && l != nothing {
		source, resume = tus.File(path), url // a stream resumes from its whole data
	}
	if l == unconfirmed && w.once() {
		return "unconfirmed" // streams have no record
	}
	u, err := prepare(client, resume, source, &w.opts)
	if err != nil {
		t.Fatal(err)
	}
	res, err := u.Run(ctx)
	if l == unconfirmed {
		if !errors.Is(err, tus.ErrUnconfirmed) || res.Stats.Sent != 0 || s.creations() != creations {
			t.Errorf("next upload: %v, %d bytes sent, %d creations", err, res.Stats.Sent, s.creations()-creations)
		}
		return "unconfirmed again"
	}
	if err != nil {
		t.Fatalf("next upload: %v", err)
	}
	wantStored(t, s.Handler, res.URL, randomBytes(faultSize))
	creations = s.creations() - creations
	switch {
	case l == nothing && (res.Stats.ResumedFrom != 0 || creations == 0):
		t.Errorf("next upload resumes at %d, after %d creations", res.Stats.ResumedFrom, creations)
	case l != nothing && (res.Stats.ResumedFrom < held && l != partly || res.Stats.Sent != faultSize-res.Stats.ResumedFrom || (l == partly) != (creations > 0)):
		// The server may have stored bytes that were in flight when the upload failed.
		t.Errorf("next upload resumes at %d of %d, sends %d, after %d creations", res.Stats.ResumedFrom, held, res.Stats.Sent, creations)
	case l == complete && res.Stats.Sent != 0:
		t.Errorf("next upload sends %d bytes", res.Stats.Sent)
	}
	switch {
	case l == complete:
		return "found complete later"
	case l == nothing:
		return "starts over later"
	}
	return "resumed later"
}

// compare fails the test if the outcome differs from the verdict.
func (v verdict) compare(t *testing.T, w way, got, usual outcome) {
	t.Helper()
	var failed *tus.Error
	switch {
	case v.err == nil && got.err != nil:
		t.Fatalf("upload fails: %v", got.err)
	case v.err != nil && got.err == nil:
		t.Fatalf("upload is completed, want an error that matches %q", v.err)
	case v.err == errTemporary && !tus.IsRetryable(got.err),
		v.err == errRefused && (!errors.As(got.err, &failed) || failed.StatusCode != v.status),
		v.err != nil && v.err != errTemporary && v.err != errRefused && !errors.Is(got.err, v.err):
		t.Errorf("error is %v, want one that matches %q", got.err, v.err)
	}
	if v.missed != (got.hits == 0) {
		t.Errorf("the fault occurred %d times", got.hits)
	}
	var limit int64
	if v.resent != nil {
		limit = v.resent(w)
	}
	if v.err != nil && w.name == parallel { // each part has retries of its own
		limit, v.more, v.creations = 4*limit, 4*v.more, 4*v.creations
	}
	if n := got.result.Stats.Resent; n > limit {
		t.Errorf("%d bytes were resent, want at most %d", n, limit)
	}
	if n := got.received - usual.received; n > limit {
		t.Errorf("%d bytes more reached the server, want at most %d", n, limit)
	}
	if n := got.more(usual); n > v.more {
		t.Errorf("%d requests more (%v, usually %v), want at most %d", n, got.result.Stats.Requests, usual.result.Stats.Requests, v.more)
	}
	if n := got.creations - usual.creations; n > v.creations {
		t.Errorf("%d creations more, want at most %d", n, v.creations)
	}
}

func (o outcome) more(usual outcome) int {
	return requestsOf(o.result.Stats) - requestsOf(usual.result.Stats)
}

// describe returns the text of a cell.
func (o outcome) describe(want verdict, usual outcome) string {
	if o.hits == 0 {
		return "ok, no such request"
	}
	if o.err != nil {
		return errorName(o.err) + ", " + o.later
	}
	text := []string{"ok"}
	if n := o.more(usual); n != 0 {
		text = append(text, more(n, "request"))
	}
	if n := o.creations - usual.creations; n != 0 {
		text = append(text, more(n, "creation"))
	}
	if n := o.result.Stats.Resent; n != 0 {
		text = append(text, kib(n)+" resent")
	}
	return strings.Join(text, ", ")
}

func more(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s more", n, what)
}

func kib(n int64) string {
	if n%1024 == 0 {
		return fmt.Sprintf("%d KiB", n/1024)
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/1024)
}

// errorName returns the first sentinel that an error matches, or its status.
func errorName(err error) string {
	for _, c := range []struct {
		err  error
		name string
	}{
		{tus.ErrUnconfirmed, "ErrUnconfirmed"}, {tus.ErrNotRecoverable, "ErrNotRecoverable"}, {tus.ErrUploadGone, "ErrUploadGone"},
		{tus.ErrProtocol, "ErrProtocol"},
		{tus.ErrUnauthorized, "ErrUnauthorized"}, {tus.ErrTooLarge, "ErrTooLarge"}, {tus.ErrUnsupported, "ErrUnsupported"},
		{tus.ErrChecksumMismatch, "ErrChecksumMismatch"}, {tus.ErrSourceMismatch, "ErrSourceMismatch"},
		{tus.ErrStalled, "ErrStalled"},
	} {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	var e *tus.Error
	if errors.As(err, &e) && e.StatusCode != 0 {
		return fmt.Sprintf("error %d", e.StatusCode)
	}
	return "connection lost"
}
