package tus_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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

// The matrix combines every fault with every way of sending. faults_rows_test.go has the
// expected result of each cell, by the protocol and the documentation of this package.
// TUS_FAULTS=path writes the results as a table:
//
//	TUS_FAULTS=$PWD/faults.md go test -count 1 -run TestFaultMatrix ./tus

const (
	faultSize  = 60 << 10 // of the source
	faultChunk = 16 << 10
	faultPart  = 15 << 10
	faultBegun = 20 << 10 // sent by an earlier session
	faultCut   = 5 << 10  // bytes of a request before a cut
)

// way is a way of sending: a column of the matrix.
type way struct {
	name   string
	flight int64 // most bytes of one request
	skip   int   // requests with data before the one with the fault
	opts   tus.UploadOptions
	like   string // the way whose exceptions apply, unless there are own ones
}

// once reports whether the source is read in a single pass, and so not stored.
func (w way) once() bool { return w.name == streamed || w.like == streamed }

// resumes reports whether the upload begins with the HEAD of one that was created before.
func (w way) resumes() bool { return w.name == resumed || w.name == byToken }

const (
	single    = "single"
	inChunk   = "chunked"
	parallel  = "parallel"
	streamed  = "stream"
	one       = "creation-with-upload"
	resumed   = "resumed"
	sized     = "ReaderN"
	written   = "Writer"
	first     = "first chunk in the creation"
	digesting = "digest"
	byToken   = "token"
)

var ways = []way{
	{single, faultSize, 0, tus.UploadOptions{CreationLimit: -1}, ""},
	{inChunk, faultChunk, 1, tus.UploadOptions{ChunkSize: faultChunk}, ""},
	{parallel, faultPart, 1, tus.UploadOptions{Parallel: 4, ParallelOptions: tus.ParallelOptions{Required: true, MinPartSize: faultPart}}, ""},
	{streamed, faultChunk, 1, tus.UploadOptions{ChunkSize: faultChunk}, ""},
	{one, faultSize, 0, tus.UploadOptions{}, ""},
	{resumed, faultSize - faultBegun, 0, tus.UploadOptions{CreationLimit: -1}, ""},
	{sized, faultChunk, 1, tus.UploadOptions{ChunkSize: faultChunk}, streamed},
	{written, faultChunk, 1, tus.UploadOptions{ChunkSize: faultChunk}, streamed},
	{first, faultChunk, 0, tus.UploadOptions{ChunkSize: faultChunk, FirstChunkInCreation: true}, one},
	{digesting, faultChunk, 1, tus.UploadOptions{ChunkSize: faultChunk, Digest: "sha256"}, inChunk},
	{byToken, faultSize - faultBegun, 0, tus.UploadOptions{CreationLimit: -1}, resumed},
}

// target selects the requests of a fault.
type target int

const (
	carrying   target = iota // PATCH, or POST with a body
	creating                 // POST, except for a final upload
	asking                   // HEAD after a cut PATCH
	completing               // the last request of the upload
	probing                  // OPTIONS
	connecting               // no request: the connection is reset
	reading                  // no request: the source fails
)

func (on target) String() string {
	return [...]string{"request with bytes", "creation", "HEAD", "last request", "OPTIONS", "connection", "source"}[on]
}

func carriesBytes(r *http.Request) bool {
	return r.Header.Get("Content-Type") == "application/offset+octet-stream"
}

// matches reports whether a fault is for a request.
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
	// bubble is set for faults that take long.
	bubble bool
	// checksums selects checksums before the data (header) or after it (trailer).
	checksums checksumMode
	opts      func(*tus.Options, *tus.UploadOptions)
	source    func(*stage, tus.Source) tus.Source // wraps the source, if not nil
	detour    bool                                // one request goes to a server that closes each HTTP/2 connection
	want      verdict
	but       map[string]verdict // exceptions, by way
}

type checksumMode int

const (
	noChecksums checksumMode = iota
	inHeader
	inTrailer
)

func TestFaultMatrix(t *testing.T) {
	rows := faultRows()
	titles, usual := map[string]bool{}, map[string]outcome{}
	for _, row := range rows {
		if titles[row.title()] {
			t.Fatalf("two rows are named %q", row.title())
		}
		titles[row.title()] = true
		for _, w := range ways {
			setting := row.setting(w)
			if _, ok := usual[setting]; ok {
				continue
			}
			usual[setting] = row.send(t, w, tempFile(t, randomBytes(faultSize)), nil)
			if err := usual[setting].err; err != nil {
				t.Fatalf("undisturbed upload, %s: %v", setting, err)
			}
		}
	}
	var mu sync.Mutex
	cells := map[string]string{}
	t.Run("cells", func(t *testing.T) { // returns when all cells are done
		for i, row := range rows {
			for j, w := range ways {
				if testing.Short() && w.like != "" && (i+j)%2 == 0 { // the race detector is slow
					continue
				}
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
				t.Errorf("no result for %s by %s", row.title(), w.name)
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

// setting identifies uploads whose costs without faults are equal.
func (row faultRow) setting(w way) string { return fmt.Sprint(w.name, row.checksums, row.bubble) }

// try runs one cell and returns its text.
func (row faultRow) try(t *testing.T, w way, usual outcome) string {
	want, ok := row.but[w.name]
	if !ok {
		want, ok = row.but[w.like]
	}
	if !ok {
		want = row.want
	}
	got := row.send(t, w, tempFile(t, randomBytes(faultSize)), &want)
	want.compare(t, w, got, usual)
	return got.describe(want, usual)
}

// send makes one upload on its own stage: without faults if want is nil, or else with the
// fault, and after a failure the next upload.
func (row faultRow) send(t *testing.T, w way, path string, want *verdict) (got outcome) {
	without := []string{"concatenation-unfinished"} // the final upload comes last
	if w.name == sized {
		without = append(without, "creation-defer-length")
	}
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
		s.stored, s.keyed = !w.once(), true
		w.opts.Header = http.Header{"X-Upload-Key": {planted}}
		ctx, cancel := hangTimeout(s)
		defer cancel()
		client, how := tus.Options{}, w.opts
		if w.resumes() {
			how.Token = w.begin(t, ctx, s, path)
		}
		bytes, creations := bytesReceived(s), s.creations()
		if want != nil {
			row.arm(s, w)
			if row.opts != nil {
				row.opts(&client, &how)
			}
		}
		source := w.source(path)
		if want != nil && row.source != nil {
			source = row.source(s, source)
		}
		if w.name == written {
			got.result, got.err = write(ctx, s.client(t, client), source, &how)
		} else {
			got.result, got.err = s.client(t, client).Upload(ctx, source, &how)
		}
		if ctx.Err() != nil {
			t.Fatalf("upload hangs: %v", got.err)
		}
		got.creations, got.received = s.creations()-creations, bytesReceived(s)-bytes
		if want != nil {
			got.hits = row.hits(s)
		}
		switch {
		case got.err == nil:
			url := got.result.URL
			if url == "" { // completed by the creation, without Location
				url = s.Uploads()[0].ID
			}
			wantStored(t, s.Handler, url, randomBytes(faultSize))
			if how.Digest != "" && got.result.Digest != sha256Of(randomBytes(faultSize)) {
				t.Errorf("digest is %q", got.result.Digest)
			}
			if n := len(s.records(t)); n != 0 {
				t.Errorf("%d records are left of a complete upload", n)
			}
		case want != nil && want.err != nil:
			got.later = want.leaves.check(t, s, w, path, got.result.URL)
		}
	})
	return got
}

// begin sends the first bytes of an upload that another session resumes, and returns the token
// of byToken. The machine that resumes by token does not have the record.
func (w way) begin(t *testing.T, ctx context.Context, s *stage, path string) string {
	first := w.opts
	first.StopAt = faultBegun
	u, err := s.client(t, tus.Options{}).NewUploader(w.source(path), &first)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(ctx)
	wantError(t, err, tus.ErrPaused)
	if w.name != byToken {
		return ""
	}
	token, err := u.Token(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.forgetAll(t)
	return token
}

// write uploads a source with a Writer.
func write(ctx context.Context, client *tus.Client, source tus.Source, how *tus.UploadOptions) (*tus.Result, error) {
	w := client.NewWriter(ctx, how)
	reader, err := source.Open(ctx, 0)
	if errors.Is(err, errNoDescriptor) {
		reader, err = source.Open(ctx, 0)
	}
	if err == nil {
		_, err = io.Copy(w, reader)
	}
	if closed := w.Close(); err == nil {
		err = closed
	}
	return w.Result(), err
}

// source returns the source of a way of sending.
func (w way) source(path string) tus.Source {
	switch w.name {
	case streamed, written:
		return tus.Reader(bytes.NewReader(randomBytes(faultSize)))
	case sized:
		return tus.ReaderN(bytes.NewReader(randomBytes(faultSize)), faultSize)
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
	case row.on == reading:
		return
	case row.detour:
		s.detour = &detour{match: row.on.matches, skip: w.skip}
		return
	case row.on == carrying:
		l.skip = w.skip
	case row.on == asking && !w.resumes(): // whose first request is HEAD
		cut := line{match: carrying.matches, skip: w.skip, times: 1, action: tustest.CutAfter(faultCut)}
		if w.name == one || w.name == first {
			cut.times = 2 // the creation, and the PATCH after it
		}
		s.script.add(cut)
	}
	s.hit = s.script.add(l)
}

// hits returns how often the fault occurred.
func (row faultRow) hits(s *stage) int {
	switch {
	case row.on == connecting:
		return s.listener.Resets()
	case row.on == reading:
		return int(s.failures.Load())
	case row.detour:
		return s.detour.hits()
	}
	return s.script.hitsOf(s.hit)
}
