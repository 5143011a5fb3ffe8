package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// output tells what became of each file, and remembers whether all went well.
type output struct {
	*program
	json     bool
	progress *progress

	mu     sync.Mutex
	failed bool
	paused []pausedFile
}

type pausedFile struct {
	file   file
	result *tus.Result
}

// line is the JSON of one file.
type line struct {
	File        string `json:"file"`
	URL         string `json:"url"`
	Size        int64  `json:"size"`
	BytesSent   int64  `json:"bytes_sent"`
	BytesResent int64  `json:"bytes_resent"`
	ResumedFrom int64  `json:"resumed_from"`
	Requests    int    `json:"requests"`
	Retries     int    `json:"retries"`
	ElapsedMS   int64  `json:"elapsed_ms"`
	Checksum    string `json:"checksum,omitempty"`
	Error       string `json:"error,omitempty"`
}

// result reports one file. The error goes to standard error, too, as standard
// output may be read by a program.
func (o *output) result(f file, r *tus.Result, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = o.failed || err != nil
	switch {
	case errors.Is(err, context.Canceled) && r.URL == "" && r.Stats.Requests[http.MethodPatch] == 0:
		o.logf("%s: interrupted before the server confirmed anything", f.name())
	case errors.Is(err, context.Canceled):
		o.paused = append(o.paused, pausedFile{f, r})
	case err != nil:
		o.logf("%s: %v", f.name(), err)
	}
	o.apart(func() {
		if o.json {
			o.printJSON(f, r, err)
		} else if err == nil {
			o.printText(f, r)
		}
	})
}

// notBegun reports the files whose turn did not come before an interruption.
func (o *output) notBegun(files []file) {
	if len(files) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = true
	o.logf("%d more not begun", len(files))
	for _, f := range files {
		if o.json {
			o.printJSON(f, &tus.Result{Size: max(0, f.size)}, context.Canceled)
		}
	}
}

func (o *output) printJSON(f file, r *tus.Result, err error) {
	s := r.Stats
	l := line{
		File: f.name(), URL: withoutUser(r.URL), Size: r.Size,
		BytesSent: s.Sent, BytesResent: s.Resent, ResumedFrom: s.ResumedFrom,
		Requests: s.TotalRequests(), Retries: s.Retries, ElapsedMS: s.Elapsed.Milliseconds(), Checksum: r.Checksum,
	}
	if err != nil {
		l.Error = err.Error()
	}
	o.print(l)
}

// print writes a JSON line to standard output, which remembers a failure.
func (o *output) print(v any) { _ = json.NewEncoder(o.stdout).Encode(v) }

func (o *output) printText(f file, r *tus.Result) {
	s := r.Stats
	at := withoutUser(r.URL)
	if at == "" {
		at = "complete, without a URL"
	}
	text := fmt.Sprintf("%s → %s: %s in %v", f.name(), at, bytesText(r.Size), s.Elapsed.Round(time.Millisecond))
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
		text += fmt.Sprintf(", %s sent again", bytesText(s.Resent))
	}
	fmt.Fprintln(o.stdout, oneLine(text))
}

// explainPause says how an interrupted upload goes on.
func (o *output) explainPause(u *uploadCommand, c *common, embedded bool) {
	for _, p := range o.paused {
		source := "-"
		if !p.file.stdin {
			source = shellQuote(p.file.path)
		}
		resume := "tusup --upload-url " + shellQuote(withoutUser(p.result.URL)) + " " + source
		if len(c.Header) > 0 || c.CACert != "" || c.Insecure || c.Endpoint != "" && len(c.secrets()) > 0 {
			// Headers, and the query of the endpoint, may be secret.
			resume += ", with the same --header, --endpoint, --trusted-origin, --ca-cert and --insecure"
		}
		oneURL := p.result.URL != "" && (u.Parallel == 1 || p.file.stdin) // parts have one each
		o.logf("%s: paused; %s", p.file.name(), confirmedText(p.result))
		switch {
		case oneURL && embedded:
			o.logf("to go on: tusup serve, then tusup --upload-url URL%s %s, with the URL that it prints",
				shellQuote(lastSegment(p.result.URL)), source)
		case oneURL && (c.NoState || p.file.stdin):
			o.logf("to go on: %s", resume)
		case oneURL:
			o.logf("to go on, run the same command again, or: %s", resume)
		case c.NoState:
			o.logf("it begins anew next time, as nothing remembers where it is")
		default:
			o.logf("to go on, run the same command again")
		}
	}
}

// confirmedText tells what an interrupted upload has behind it. What was on its
// way may have been stored without an answer.
func confirmedText(r *tus.Result) string {
	if r.Size > 0 && r.Offset == r.Size {
		return "all " + bytesText(r.Size) + " confirmed"
	}
	size := ""
	if r.Size > 0 {
		size = " of " + bytesText(r.Size)
	}
	if r.Offset == 0 {
		return "none" + size + " confirmed, perhaps some stored"
	}
	return bytesText(r.Offset) + size + " confirmed, perhaps more stored"
}

// failure is nil if all files are uploaded.
func (o *output) failure() error {
	if o.failed {
		return errFailed
	}
	return nil
}
