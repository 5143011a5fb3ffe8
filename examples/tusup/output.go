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

// output prints the result of each file, and records whether one failed.
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

// result reports one file. An error also goes to standard error, because a program may
// read standard output.
func (o *output) result(f file, r *tus.Result, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = o.failed || err != nil
	switch {
	case errors.Is(err, context.Canceled) && r.URL == "" && r.Stats.Requests[http.MethodPatch] == 0:
		o.logf("%s: interrupted before the server acknowledged any bytes", f.name())
	case errors.Is(err, context.Canceled):
		o.paused = append(o.paused, pausedFile{f, r})
	case err != nil:
		o.logf("%s: %v", f.name(), err)
	}
	o.withoutBar(func() {
		if o.json {
			o.printJSON(f, r, err)
		} else if err == nil {
			o.printText(f, r)
		}
	})
}

// notStarted reports the files that were not started before an interruption.
func (o *output) notStarted(files []file) {
	if len(files) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = true
	o.logf("files not started: %d", len(files))
	if !o.json {
		return
	}
	o.withoutBar(func() {
		for _, f := range files {
			o.printJSON(f, &tus.Result{Size: max(0, f.size)}, context.Canceled)
		}
	})
}

func (o *output) printJSON(f file, r *tus.Result, err error) {
	s := r.Stats
	l := line{
		File: f.name(), URL: withoutUser(r.URL), Size: r.Size,
		BytesSent: s.Sent, BytesResent: s.Resent, ResumedFrom: s.ResumedFrom,
		Retries: s.Retries, ElapsedMS: s.Elapsed.Milliseconds(), Checksum: r.Checksum,
	}
	for _, n := range s.Requests {
		l.Requests += n
	}
	if err != nil {
		l.Error = err.Error()
	}
	o.print(l)
}

// print writes a JSON line to standard output, which keeps the error.
func (o *output) print(v any) { _ = json.NewEncoder(o.stdout).Encode(v) }

func (o *output) printText(f file, r *tus.Result) {
	s := r.Stats
	uploadURL := withoutUser(r.URL)
	if uploadURL == "" {
		uploadURL = "complete, without a URL"
	}
	text := fmt.Sprintf("%s → %s: %s in %v", f.name(), uploadURL, bytesText(r.Size), s.Elapsed.Round(time.Millisecond))
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
	fmt.Fprintln(o.stdout, oneLine(text))
}

// printResume prints how to resume each interrupted upload.
func (o *output) printResume(u *uploadCommand, c *common, embedded bool) {
	for _, p := range o.paused {
		source := "-"
		if !p.file.stdin {
			source = shellQuote(p.file.path)
		}
		resume := "tusup --upload-url " + shellQuote(withoutUser(p.result.URL)) + " " + source
		if c.Remote != "" {
			resume += " @" + c.Remote
		}
		if len(c.Header) > 0 || c.TokenFile != "" || c.CA != "" || c.Insecure || c.Endpoint != "" && c.hasCredentials() {
			// Headers, and the query of the endpoint, may be secret.
			resume += ", with the same --header, --endpoint, --trusted-origin, --ca and --insecure"
		}
		oneURL := p.result.URL != "" && (u.Parallel == 1 || p.file.stdin) // each part has its own
		o.logf("%s: paused; %s", p.file.name(), acknowledgedText(p.result))
		switch {
		case oneURL && embedded:
			o.logf("to resume: tusup serve, then tusup --upload-url URL%s %s, where URL is printed by tusup serve",
				shellQuote(lastSegment(p.result.URL)), source)
		case oneURL && (c.NoState || p.file.stdin):
			o.logf("to resume: %s", resume)
		case oneURL:
			o.logf("to resume, run the same command again, or: %s", resume)
		case c.NoState:
			o.logf("cannot be resumed without a resume database: the next upload starts over")
		default:
			o.logf("to resume, run the same command again")
		}
	}
}

// acknowledgedText returns how much of an interrupted upload is acknowledged. The server
// may have stored more: the response was not received.
func acknowledgedText(r *tus.Result) string {
	if r.Size > 0 && r.Offset == r.Size {
		return "all " + bytesText(r.Size) + " acknowledged"
	}
	size := ""
	if r.Size > 0 {
		size = " of " + bytesText(r.Size)
	}
	if r.Offset == 0 {
		return "none" + size + " acknowledged, some may be stored"
	}
	return bytesText(r.Offset) + size + " acknowledged, more may be stored"
}

// failure returns errFailed if a file failed.
func (o *output) failure() error {
	if o.failed {
		return errFailed
	}
	return nil
}
