package main

import (
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/spool"
	"github.com/seed-175555ba/tus-go/tus"
)

// watchReport prints what happened to each file.
type watchReport struct {
	*output
	common  *common
	watch   *watchCommand
	metrics *watchMetrics
}

func newWatchReport(p *program, c *common, w *watchCommand, m *watchMetrics) *watchReport {
	return &watchReport{output: newOutput(p, c.JSON), common: c, watch: w, metrics: m}
}

// end reports the end of an attempt. A file that is kept, and that an earlier process
// uploaded, is not printed: there may be many after each start.
func (o *watchReport) end(e spool.End) {
	o.metrics.ended(string(e.Kind), e.Kind == spool.Uploaded)
	name := filepath.Join(o.watch.Dir, e.File.Name)
	if e.Result == nil {
		e.Result = &tus.Result{Size: e.File.Size}
	}
	o.totals.BytesSent += e.Result.Stats.Sent
	switch e.Kind {
	case spool.Uploaded, spool.Already:
		o.count(e)
		if e.Kind == spool.Uploaded || o.watch.Delete || o.watch.MoveTo != "" {
			o.printUploaded(name, e)
		}
		if e.Err != nil {
			o.logf("%s: uploaded, but cannot be moved or deleted: %v; retrying", name, e.Err)
		}
	case spool.SetAside:
		o.count(e)
		if o.json {
			o.print(fileOf(file{path: name, size: e.File.Size}, e.Result, e.Err))
		}
		o.logf("%s: set aside as %s after %d attempts: %v", name, e.Path, e.Attempts, e.Err)
	case spool.Retried:
		if e.Attempts > 0 || o.common.Verbose { // otherwise it is not about the file
			o.logf("%s: failed attempts: %d; retrying: %v", name, e.Attempts, e.Err)
		}
	case spool.Changed:
		o.logf("%s: changed during the upload, which starts over when the file rests", name)
	case spool.Vanished:
		o.logf("%s: removed during the upload", name)
	case spool.Held:
		if o.common.Verbose {
			o.logf("%s: retrying later: %v", name, e.Err)
		}
	}
}

// count adds a file to the totals.
func (o *watchReport) count(e spool.End) {
	o.totals.Files++
	o.totals.Bytes += e.File.Size
	switch e.Kind {
	case spool.Uploaded:
		o.totals.Uploaded++
	case spool.Already:
		o.totals.AlreadyUploaded++
	case spool.SetAside:
		o.totals.Failed++
	}
}

// printUploaded prints a line such as "uploaded spool/a.jpg → URL, 4.1 MiB in 3 s, moved to
// done/a.jpg".
func (o *watchReport) printUploaded(name string, e spool.End) {
	r := e.Result
	if o.json {
		o.print(fileOf(file{path: name, size: e.File.Size}, r, nil))
		return
	}
	text := uploadedText(name, e.File.Size, r)
	switch {
	case e.Path != "":
		text += ", moved to " + e.Path
	case o.watch.Delete && e.Err == nil:
		text += ", deleted"
	}
	fmt.Fprintln(o.stdout, oneLine(text))
}

// uploadedText returns a line such as "uploaded a.jpg → URL, 4.1 MiB in 3 s".
func uploadedText(name string, size int64, r *tus.Result) string {
	what := "uploaded"
	if r.AlreadyComplete {
		what = "already uploaded"
	}
	uploadURL := r.URL
	if uploadURL == "" {
		uploadURL = "complete, without a URL"
	}
	text := fmt.Sprintf("%s %s → %s, %s", what, name, uploadURL, bytesText(size))
	if !r.AlreadyComplete {
		text += fmt.Sprintf(" in %v", r.Stats.Elapsed.Round(time.Millisecond))
	}
	if r.Stats.ResumedFrom > 0 {
		text += ", resumed from " + bytesText(r.Stats.ResumedFrom)
	}
	return text
}

// summary prints the totals with --json.
func (o *watchReport) summary() {
	if o.json {
		o.printSummary()
	}
}

// storeWarnings logs failures of the resume database, not one for each file.
type storeWarnings struct {
	program *program
	mu      sync.Mutex
	last    time.Time
}

// storeWarningInterval is the minimum time between two warnings.
const storeWarningInterval = 5 * time.Minute

func (w *storeWarnings) warn(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.last.IsZero() && time.Since(w.last) < storeWarningInterval {
		return
	}
	w.last = time.Now()
	w.program.logf("warning: resume database: %v", err)
}
