package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/progress"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
	"github.com/seed-175555ba/tus-go/tus"
)

// output prints the result of each file, and counts them.
type output struct {
	*program
	json     bool
	counter  tus.BatchCounter
	progress *progress.Display
	started  time.Time

	mu         sync.Mutex
	totals     report.Totals
	unfinished []pausedFile
	idle       int   // of unfinished, those that were not started
	lastError  error // of the last retry

	unstored atomic.Bool // without a resume database, or it failed
}

func newOutput(p *program, json bool) *output {
	return &output{program: p, json: json, started: time.Now()}
}

// retrying records the failure that an upload retries.
func (o *output) retrying(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lastError = err
}

// result reports one file; printInterrupted reports one that was interrupted. An error also
// goes to standard error, because a program may read standard output.
func (o *output) result(f file, r *tus.Result, err error) {
	o.mu.Lock()
	o.count(f, r, err)
	o.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		return
	}
	if err != nil {
		o.logf("%s: %v", f.name(), err)
	}
	if o.json {
		o.print(fileOf(f, r, err))
	} else if err == nil {
		o.printText(f, r)
	}
}

// count adds a file to the totals. It requires mu.
func (o *output) count(f file, r *tus.Result, err error) {
	t := &o.totals
	t.Files++
	t.Bytes += max(f.size, r.Size, 0)
	t.BytesSent += r.Stats.Sent
	switch {
	case errors.Is(err, context.Canceled):
		t.Unfinished++
		o.unfinished = append(o.unfinished, pausedFile{f, r, err})
	case err != nil:
		t.Failed++
	case r.AlreadyComplete:
		t.AlreadyUploaded++
	default:
		t.Uploaded++
	}
}

// fileOf returns the JSON of one file.
func fileOf(f file, r *tus.Result, err error) report.File {
	s := r.Stats
	l := report.File{
		Name: report.NameOf(f.name()), URL: withoutUser(r.URL), Size: r.Size, Offset: r.Offset,
		BytesSent: s.Sent, BytesResent: s.Resent, ResumedFrom: s.ResumedFrom,
		Retries: s.Retries, RequestLimit: s.RequestLimit, ElapsedMS: s.Elapsed.Milliseconds(), Checksum: r.Checksum,
		AlreadyUploaded: r.AlreadyComplete,
		Error:           report.ErrorOf(err),
	}
	for _, n := range s.Requests {
		l.Requests += n
	}
	if f.sum != "" {
		l.Digest = "sha256:" + f.sum
	}
	return l
}

// notStarted reports the files that were not started before an interruption.
func (o *output) notStarted(files []file) {
	o.idle = len(files)
	for _, f := range files {
		o.result(f, &tus.Result{Size: max(0, f.size)}, context.Canceled)
	}
}

// print writes a JSON line to standard output, which keeps the error.
func (o *output) print(v any) { _ = report.Write(o.stdout, v) }

func (o *output) printText(f file, r *tus.Result) {
	s := r.Stats
	uploadURL := withoutUser(r.URL)
	if uploadURL == "" {
		uploadURL = "complete, without a URL"
	}
	text := fmt.Sprintf("%s → %s: %s", f.name(), uploadURL, bytesText(r.Size))
	if r.AlreadyComplete {
		text += ", already uploaded"
	} else {
		text += fmt.Sprintf(" in %v", s.Elapsed.Round(time.Millisecond)) + costText(s)
	}
	if f.sum != "" {
		text += ", sha256 " + f.sum
	}
	fmt.Fprintln(o.stdout, oneLine(text))
}

// costText returns what an upload took in addition to its bytes.
func costText(s tus.Stats) string {
	text := ""
	if s.ResumedFrom > 0 {
		text += fmt.Sprintf(", resumed from %s", bytesText(s.ResumedFrom))
	}
	if s.NotResumed > 0 && s.ResumedFrom == 0 {
		text += fmt.Sprintf(", started over (stored uploads not resumed: %d)", s.NotResumed)
	}
	if s.Retries > 0 {
		text += fmt.Sprintf(", %d retries", s.Retries)
	}
	if s.Resent > 0 {
		text += fmt.Sprintf(", %s resent", bytesText(s.Resent))
	}
	if s.RequestLimit > 0 {
		text += fmt.Sprintf(", in requests of at most %s, as an interrupted one left nothing on the server (see tusup doctor)", bytesText(s.RequestLimit))
	}
	return text
}

// printSummary prints the totals: as the last line of JSON, or for several files, unless
// printInterrupted did.
func (o *output) printSummary() {
	t := o.totals
	t.ElapsedMS = time.Since(o.started).Milliseconds()
	if o.json {
		o.print(report.Summary{Summary: t})
		return
	}
	if t.Files < 2 || t.Unfinished > 0 {
		return
	}
	var counts []string
	for _, group := range []struct {
		files int
		name  string
	}{{t.Uploaded, "uploaded"}, {t.AlreadyUploaded, "already uploaded"}, {t.Failed, "failed"}} {
		if group.files > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", group.files, group.name))
		}
	}
	o.logf("%d files: %s; %s sent in %v", t.Files, strings.Join(counts, ", "), bytesText(t.BytesSent), time.Since(o.started).Round(time.Millisecond))
}

// failure returns errFailed if a file failed or is unfinished.
func (o *output) failure() error {
	if o.totals.Failed+o.totals.Unfinished > 0 {
		return errFailed
	}
	return nil
}

// sentBytes reports whether the upload has sent bytes of the source.
func sentBytes(r *tus.Result) bool {
	return r.Stats.Requests[http.MethodPatch] > 0 || r.Stats.Sent > 0
}
