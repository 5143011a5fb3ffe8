package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// offsetTimeout is how long an interrupted tusup waits for the offsets of its uploads.
const offsetTimeout = 2 * time.Second

// printInterrupted prints what is unfinished, the last error, and how to resume.
func (o *output) printInterrupted(ctx context.Context, u *uploadCommand, c *common, client *tus.Client) {
	if len(o.unfinished) == 0 {
		return
	}
	text := fmt.Sprintf("%d of %d files unfinished", len(o.unfinished), o.totals.Files)
	if o.totals.Files == 1 {
		text = o.unfinished[0].file.name() + " is unfinished"
	}
	text += ", " + storedText(o.unfinished, o.requestOffsets(ctx, client))
	if o.lastError != nil {
		text += fmt.Sprintf("; last error: %v", o.lastError)
	}
	o.logf("interrupted: %s", text)
	o.logf("%s", o.resumeText(u, c))
}

// requestOffsets requests the offset of each upload that was started, as the server may
// have stored bytes that it could not acknowledge. It reports whether all are known.
func (o *output) requestOffsets(ctx context.Context, client *tus.Client) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), offsetTimeout)
	defer cancel()
	known := make([]bool, len(o.unfinished))
	var requests sync.WaitGroup
	for i, p := range o.unfinished {
		if p.result.URL == "" {
			known[i] = !sentBytes(p.result)
			continue
		}
		requests.Go(func() {
			info, err := client.Info(ctx, p.result.URL)
			if err == nil {
				p.result.Offset, known[i] = info.Offset, true
			}
		})
	}
	requests.Wait()
	for _, k := range known {
		if !k {
			return false
		}
	}
	return true
}

// storedText returns how many bytes of the files the server has.
func storedText(files []pausedFile, exact bool) string {
	var stored, size int64
	sized := true
	for _, p := range files {
		stored += p.result.Offset
		size += max(p.file.size, p.result.Size, 0)
		sized = sized && (p.file.size >= 0 || p.result.Size > 0)
	}
	text := bytesText(stored)
	if sized {
		text += " of " + bytesText(size)
	}
	if !exact {
		text = "at least " + text
	}
	return text + " stored"
}

// resumeText returns how to resume the unfinished uploads.
func (o *output) resumeText(u *uploadCommand, c *common) string {
	const again = "run the same command again"
	if len(o.unfinished) > 1 {
		switch {
		case c.NoState:
			return "without a resume database, the next run starts these files over"
		case o.hasPausedStream():
			return "to resume the files, " + again + "; standard input starts over"
		}
		return "to resume, " + again
	}
	p := o.unfinished[0]
	stored := !c.NoState && !p.file.stdin
	hasURL := p.result.URL != "" && (u.Parallel == 1 || p.file.stdin) // each part has its own
	switch {
	case !sentBytes(p.result) || !hasURL && stored:
		return "to resume, " + again
	case hasURL && u.Local:
		return fmt.Sprintf("to resume: tusup serve, then tusup --upload-url URL%s %s, where URL is printed by tusup serve",
			shellQuote(lastSegment(p.result.URL)), sourceArgument(p.file))
	case !hasURL:
		return "cannot be resumed without a resume database: the next run starts over"
	case stored:
		return "to resume, " + again + ", or: " + o.resumeCommand(c, p)
	case p.file.stdin:
		return "to resume, pipe the same data from its start into: " + o.resumeCommand(c, p)
	}
	return "to resume: " + o.resumeCommand(c, p)
}

func (o *output) hasPausedStream() bool {
	for _, p := range o.unfinished {
		if p.file.stdin {
			return true
		}
	}
	return false
}

// resumeCommand returns a command line that resumes an upload from its URL.
func (o *output) resumeCommand(c *common, p pausedFile) string {
	command := "tusup --upload-url " + shellQuote(withoutUser(p.result.URL)) + " " + sourceArgument(p.file)
	if c.Remote != "" {
		command += " @" + c.Remote
	}
	if len(c.Header) > 0 || c.TokenFile != "" || c.CA != "" || c.Insecure || c.Endpoint != "" && c.hasCredentials() {
		// Headers, and the query of the endpoint, may be secret.
		command += ", with the same --header, --endpoint, --trusted-origin, --ca and --insecure"
	}
	return command
}

// sourceArgument returns the argument for a file, for a shell.
func sourceArgument(f file) string {
	if f.stdin {
		return "-"
	}
	return shellQuote(f.path)
}
