package tus_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// The matrix: every fault meets every way of sending. What is expected of each
// cell is in faults_rows_test.go and follows from the protocol and from what
// the documentation of this package promises. TUS_FAULTS=path writes what
// happened as a table:
//
//	TUS_FAULTS=faults.md go test -count 1 -run TestFaultMatrix ./tus

const (
	faultSize  = 60 << 10 // of the source
	faultChunk = 16 << 10
	faultPart  = 15 << 10
	faultBegun = 20 << 10 // what an earlier session had sent
	faultCut   = 5 << 10  // how many bytes of a request arrive before a cut
)

// way is a way of sending: a column of the matrix.
type way struct {
	name   string
	flight int64 // bytes that one request carries at most
	skip   int   // requests with bytes that come before the one that is hit
	opts   tus.UploadOptions
}

const (
	single   = "single"
	inChunk  = "chunked"
	parallel = "parallel"
	streamed = "stream"
	one      = "creation-with-upload"
	resumed  = "resumed"
)

var ways = []way{
	{single, faultSize, 0, tus.UploadOptions{CreationWithUpload: tus.CreationWithUploadNever}},
	{inChunk, faultChunk, 1, tus.UploadOptions{ChunkSize: faultChunk}},
	{parallel, faultPart, 1, tus.UploadOptions{Parallel: 4, MinPartSize: faultPart}},
	{streamed, faultChunk, 1, tus.UploadOptions{ChunkSize: faultChunk}},
	{one, faultSize, 0, tus.UploadOptions{}},
	{resumed, faultSize - faultBegun, 0, tus.UploadOptions{CreationWithUpload: tus.CreationWithUploadNever}},
}

// target is which requests a fault is for.
type target int

const (
	carrying   target = iota // bytes: PATCH, or POST with a body
	creating                 // POST, but for that of a final upload
	asking                   // HEAD, after a PATCH that was cut
	completing               // the request that ends the upload
	probing                  // OPTIONS
	connecting               // none: the connection is reset
)

func (on target) String() string {
	return [...]string{"request with bytes", "creation", "HEAD", "last request", "OPTIONS", "connection"}[on]
}

func carriesBytes(r *http.Request) bool {
	return r.Header.Get("Content-Type") == "application/offset+octet-stream"
}

// matches tells the requests that are meant.
func (on target) matches(r *http.Request) bool {
	method, final := methodOf(r.Method, r.Header), strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;")
	switch on {
	case carrying:
		return carriesBytes(r)
	case creating:
		return method == http.MethodPost && !final
	case asking:
		return method == http.MethodHead
	case completing:
		var at int64
		fmt.Sscan(r.Header.Get("Upload-Offset"), &at)
		return final || carriesBytes(r) && at+r.ContentLength == faultSize
	case probing:
		return method == http.MethodOptions
	}
	return false
}

// faultRow is a row of the matrix.
type faultRow struct {
	name   string
	on     target
	times  int // 0 is once, a negative number always
	action tustest.Action
	with   func(*stage) tustest.Action // instead of action, if it needs the stage
	// bubble is for faults that take their time.
	bubble bool
	// checksums are used; the server takes them ahead of the bytes (header), or
	// after them (trailer).
	checksums checksumMode
	opts      func(*tus.Options, *tus.UploadOptions)
	want      verdict
	but       map[string]verdict // for these ways
}

type checksumMode int

const (
	noChecksums checksumMode = iota
	inHeader
	inTrailer
)

// verdict is what is expected of a cell.
type verdict struct {
	err       error // nil: the upload is completed
	status    int   // of the answer that ended it; 0 for any
	leaves    leaves
	more      int // requests beyond those of an undisturbed upload, at most
	creations int // likewise, POST requests but for final uploads
	resent    func(way) int64
	missed    bool // there is no such request
}

// leaves is what a failed upload leaves for the next session.
type leaves int

const (
	resumable leaves = iota // goes on from what the server has
	partly                  // likewise, but creates some parts anew
	nothing                 // begins anew
	complete                // has to send nothing
)

var (
	errTemporary = errors.New("temporary failure") // stands for tus.IsTemporary
	errRefused   = errors.New("refused")           // stands for a status without a sentinel
)

// fine is an upload that is completed, at the cost of some requests.
func fine(more int) verdict { return verdict{more: more} }

// fails is an upload that ends with an error.
func fails(err error, l leaves) verdict { return verdict{err: err, leaves: l, more: 20, creations: 8} }

// refused is an upload that ends with an answer of the server.
func refused(status int, l leaves) verdict {
	v := fails(errRefused, l)
	v.status = status
	return v
}

// missed is a fault for which there is no request.
func missed() verdict { return verdict{missed: true} }

// again allows bytes to be sent again.
func (v verdict) again(n func(way) int64) verdict { v.resent = n; return v }

// creating allows further creations.
func (v verdict) creating(n int) verdict { v.creations = n; return v }

// What may be sent again: all that one request carries,
func request(w way) int64 { return w.flight }

// what of it had not arrived when it was cut,
func rest(w way) int64 { return w.flight - faultCut }

// that several times,
func times(n int64) func(way) int64 { return func(w way) int64 { return n * w.flight } }

// what an earlier session had sent,
func begun(way) int64 { return faultBegun }

// or everything.
func everything(way) int64 { return faultSize }

// outcome is what became of an upload.
type outcome struct {
	result    *tus.Result
	err       error
	creations int   // that reached the server, but for final uploads
	received  int64 // bytes that reached the server
	hits      int   // of the fault
	later     string
}

func TestFaultMatrix(t *testing.T) {
	rows := faultRows()
	usual := map[string]outcome{}
	for _, row := range rows {
		for _, w := range ways {
			setting := row.setting(w)
			if _, ok := usual[setting]; ok {
				continue
			}
			usual[setting] = row.send(t, w, sourceFile(t), nil)
			if err := usual[setting].err; err != nil {
				t.Fatalf("undisturbed upload, %s: %v", setting, err)
			}
		}
	}
	var mu sync.Mutex
	cells := map[string]string{}
	t.Run("cells", func(t *testing.T) { // ends when all of them have
		for _, row := range rows {
			for _, w := range ways {
				t.Run(row.title()+"/"+w.name, func(t *testing.T) {
					t.Parallel()
					text := row.try(t, w, usual[row.setting(w)])
					mu.Lock()
					defer mu.Unlock()
					cells[row.title()+w.name] = text
				})
			}
		}
	})
	if path := os.Getenv("TUS_FAULTS"); path != "" {
		writeMatrix(t, path, rows, cells)
	}
}

// writeMatrix writes a Markdown table, in which no cell may be empty.
func writeMatrix(t *testing.T, path string, rows []faultRow, cells map[string]string) {
	var b strings.Builder
	b.WriteString("| fault |")
	for _, w := range ways {
		fmt.Fprintf(&b, " %s |", w.name)
	}
	b.WriteString("\n|" + strings.Repeat("---|", len(ways)+1) + "\n")
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s |", row.title())
		for _, w := range ways {
			text := cells[row.title()+w.name]
			if text == "" {
				t.Errorf("nothing is known of %s by %s", row.title(), w.name)
			}
			fmt.Fprintf(&b, " %s |", text)
		}
		b.WriteString("\n")
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Error(err)
	}
}

func (row faultRow) title() string { return row.on.String() + ": " + row.name }

// setting is what undisturbed uploads depend on.
func (row faultRow) setting(w way) string { return fmt.Sprint(w.name, row.checksums, row.bubble) }

// try tries one cell and tells what happened.
func (row faultRow) try(t *testing.T, w way, usual outcome) string {
	want, ok := row.but[w.name]
	if !ok {
		want = row.want
	}
	got := row.send(t, w, sourceFile(t), &want)
	want.judge(t, w, got, usual)
	return got.describe(want, usual)
}

func sourceFile(t *testing.T) (path string) {
	path = filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, randomBytes(faultSize), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// send makes one upload on a stage of its own: an undisturbed one if nothing is
// wanted, or else one with the fault, and after a failure the one that follows.
func (row faultRow) send(t *testing.T, w way, path string, want *verdict) (got outcome) {
	without := []string{"concatenation-unfinished"} // so that the final upload comes last
	if row.checksums == inHeader {
		without = append(without, "checksum-trailer")
	}
	place := onTCP
	if row.bubble {
		place = inBubble
	}
	place(t, &tustest.Options{Extensions: tustest.Without(without...)}, func(t *testing.T, s *stage) {
		if row.checksums != noChecksums {
			s.checksums = checksum.Builtin()
		}
		ctx, cancel := patience(s)
		defer cancel()
		if w.name == resumed {
			first := w.opts
			first.StopAt = faultBegun
			_, err := s.client(t, tus.Options{}).Upload(ctx, w.source(path), &first)
			wantError(t, err, tus.ErrPaused)
		}
		bytes, creations := s.BytesReceived(), s.creations()
		client, how := tus.Options{}, w.opts
		if want != nil {
			row.arm(s, w)
			if row.opts != nil {
				row.opts(&client, &how)
			}
		}
		got.result, got.err = s.client(t, client).Upload(ctx, w.source(path), &how)
		if ctx.Err() != nil {
			t.Fatalf("upload hangs: %v", got.err)
		}
		got.creations, got.received = s.creations()-creations, s.BytesReceived()-bytes
		if want != nil {
			got.hits = row.hits(s)
		}
		switch {
		case got.err == nil:
			wantStored(t, s.Handler, got.result.URL, randomBytes(faultSize))
			if n := len(s.records(t)); n != 0 {
				t.Errorf("%d records are left of a complete upload", n)
			}
		case want != nil && want.err != nil:
			got.later = want.leaves.check(t, s, w, path, got.result.URL)
		}
	})
	return got
}

// source is what a way of sending reads from.
func (w way) source(path string) tus.Source {
	switch w.name {
	case streamed:
		return tus.Reader(bytes.NewReader(randomBytes(faultSize)))
	case one:
		return tus.FSFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	}
	return tus.File(path)
}

// arm writes the script.
func (row faultRow) arm(s *stage, w way) {
	n := cmp.Or(row.times, 1)
	l := line{match: row.on.matches, times: n, action: row.action}
	if row.with != nil {
		l.action = row.with(s)
	}
	switch {
	case row.on == connecting:
		s.listener.Reset(n)
		return
	case row.on == carrying:
		l.skip = w.skip
	case row.on == asking && w.name != resumed: // which asks first of all
		cut := line{match: carrying.matches, skip: w.skip, times: 1, action: tustest.CutAfter(faultCut)}
		if w.name == one {
			cut.times = 2 // the creation, and the PATCH that follows
		}
		s.script.add(cut)
	}
	s.hit = s.script.add(l)
}

// hits is how often the fault came into play.
func (row faultRow) hits(s *stage) int {
	if row.on == connecting {
		return s.listener.Resets()
	}
	return s.script.hitsOf(s.hit)
}

// check makes the upload that follows a failed one, without faults. It has to
// end well, and to make the use of what is there that l says.
func (l leaves) check(t *testing.T, s *stage, w way, path, url string) string {
	s.script.end()
	s.listener.Reset(0)
	held, creations := s.held(t, url), s.creations()
	ctx, cancel := patience(s)
	defer cancel()
	client, source, how := s.client(t, tus.Options{}), w.source(path), w.opts
	if w.name == streamed && l != nothing {
		source, how.URL = tus.File(path), url // what a stream is resumed from, if at all
	}
	res, err := client.Upload(ctx, source, &how)
	if err != nil {
		t.Fatalf("next upload: %v", err)
	}
	wantStored(t, s.Handler, res.URL, randomBytes(faultSize))
	creations = s.creations() - creations
	switch {
	case l == nothing && (res.Stats.ResumedFrom != 0 || creations == 0):
		t.Errorf("next upload goes on from %d, after %d creations", res.Stats.ResumedFrom, creations)
	case l != nothing && (res.Stats.ResumedFrom < held || res.Stats.Sent != faultSize-res.Stats.ResumedFrom || (l == partly) != (creations > 0)):
		// The server may have stored what was under way when the upload failed.
		t.Errorf("next upload goes on from %d of %d, sends %d, after %d creations", res.Stats.ResumedFrom, held, res.Stats.Sent, creations)
	case l == complete && res.Stats.Sent != 0:
		t.Errorf("next upload sends %d bytes", res.Stats.Sent)
	}
	switch {
	case l == complete:
		return "found complete later"
	case l == nothing:
		return "begun anew later"
	}
	return "resumed later"
}

// judge compares what happened with what is expected.
func (v verdict) judge(t *testing.T, w way, got, usual outcome) {
	t.Helper()
	var answer *tus.Error
	switch {
	case v.err == nil && got.err != nil:
		t.Fatalf("upload fails: %v", got.err)
	case v.err != nil && got.err == nil:
		t.Fatalf("upload is completed, want an error that matches %q", v.err)
	case v.err == errTemporary && !tus.IsTemporary(got.err),
		v.err == errRefused && (!errors.As(got.err, &answer) || answer.StatusCode != v.status),
		v.err != nil && v.err != errTemporary && v.err != errRefused && !errors.Is(got.err, v.err):
		t.Errorf("error is %v, want one that matches %q", got.err, v.err)
	}
	if v.missed != (got.hits == 0) {
		t.Errorf("the fault came into play %d times", got.hits)
	}
	var limit int64
	if v.resent != nil {
		limit = v.resent(w)
	}
	if v.err != nil && w.name == parallel { // each part has retries of its own
		limit, v.more, v.creations = 4*limit, 4*v.more, 4*v.creations
	}
	if n := got.result.Stats.Resent; n > limit {
		t.Errorf("%d bytes were sent again, want at most %d", n, limit)
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
	return o.result.Stats.TotalRequests() - usual.result.Stats.TotalRequests()
}

// describe is the text of a cell.
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
		text = append(text, kib(n)+" again")
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

// errorName is the first condition that an error matches, or its status.
func errorName(err error) string {
	for _, c := range []struct {
		err  error
		name string
	}{
		{tus.ErrUnconfirmed, "ErrUnconfirmed"}, {tus.ErrNotRecoverable, "ErrNotRecoverable"}, {tus.ErrUploadGone, "ErrUploadGone"},
		{tus.ErrProtocol, "ErrProtocol"}, {tus.ErrNoLocation, "ErrNoLocation"}, {tus.ErrVersion, "ErrVersion"},
		{tus.ErrUnauthorized, "ErrUnauthorized"}, {tus.ErrTooLarge, "ErrTooLarge"}, {tus.ErrUnsupported, "ErrUnsupported"},
		{tus.ErrChecksumMismatch, "ErrChecksumMismatch"}, {tus.ErrSourceMismatch, "ErrSourceMismatch"},
		{tus.ErrUploadLocked, "ErrUploadLocked"}, {tus.ErrOffsetConflict, "ErrOffsetConflict"}, {tus.ErrStalled, "ErrStalled"},
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
