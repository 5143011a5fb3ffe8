package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// offsetTimeout is how long an interrupted tusup waits for the offsets of its uploads.
const offsetTimeout = 2 * time.Second

// pausedFile is a file that was interrupted or not started. result is that of the run.
type pausedFile struct {
	file   file
	result *tus.Result
	err    error
}

// printInterrupted prints what is unfinished, the last error, and how to resume.
func (o *output) printInterrupted(ctx context.Context, u *uploadCommand, c *common, client *tus.Client) {
	if len(o.unfinished) == 0 {
		return
	}
	exact := o.requestOffsets(ctx, client)
	if o.json {
		for _, p := range o.unfinished {
			o.print(fileOf(p.file, p.result, p.err))
		}
	}
	text := o.unfinishedText()
	if stored := storedText(o.unfinished, exact); stored != "" {
		text += ", " + stored
	}
	if o.lastError != nil {
		text += fmt.Sprintf("; last error: %v", o.lastError)
	}
	o.logf("interrupted: %s", text)
	o.logf("%s", o.resumeText(u, c))
}

// unfinishedText returns which files are unfinished.
func (o *output) unfinishedText() string {
	if o.totals.Files == 1 {
		return o.unfinished[0].file.name() + " is unfinished"
	}
	text := fmt.Sprintf("%d of %d files unfinished", len(o.unfinished), o.totals.Files)
	if o.idle > 0 {
		text += fmt.Sprintf(" (%d not started)", o.idle)
	}
	if o.totals.Failed > 0 {
		text += fmt.Sprintf(", %d failed", o.totals.Failed)
	}
	return text
}

// requestOffsets requests the offset of each upload that was started, as the server may
// have stored bytes that it could not acknowledge. It reports whether all are known.
func (o *output) requestOffsets(ctx context.Context, client *tus.Client) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), offsetTimeout)
	defer cancel()
	var (
		requests sync.WaitGroup
		unknown  atomic.Bool
	)
	for _, p := range o.unfinished {
		if p.result.Job.Source == nil && p.result.URL == "" { // not started
			continue
		}
		requests.Go(func() {
			if !p.requestOffset(ctx, client) {
				unknown.Store(true)
			}
		})
	}
	requests.Wait()
	return !unknown.Load()
}

// requestOffset sets the offset of the result to that of the server, and reports whether it
// could.
func (p pausedFile) requestOffset(ctx context.Context, client *tus.Client) bool {
	urls, known := p.uploadURLs(ctx, client)
	offsets := make([]int64, len(urls))
	errs := make([]error, len(urls))
	var requests sync.WaitGroup
	for i, u := range urls {
		requests.Go(func() { offsets[i], errs[i] = offsetOf(ctx, client, u) })
	}
	requests.Wait()
	stored := int64(0)
	for i := range urls {
		stored += offsets[i]
		known = known && errs[i] == nil
	}
	p.result.Offset = max(p.result.Offset, stored)
	return known
}

// uploadURLs returns the URL of an upload or, from the resume database, that of an earlier run
// or those of its parts. It reports whether no other URL has bytes of it.
func (p pausedFile) uploadURLs(ctx context.Context, client *tus.Client) (urls []string, all bool) {
	if p.result.URL != "" {
		return []string{p.result.URL}, true
	}
	if job := p.result.Job; job.Source != nil && !p.file.stdin {
		previous, _ := client.PreviousUploads(ctx, job.Source, job.Options) // an error is as none
		for _, upload := range previous {
			switch {
			case !upload.Completed.IsZero():
				continue
			case upload.URL != "":
				return []string{upload.URL}, true
			}
			for _, part := range upload.Parts {
				if part.UploadURL != "" {
					urls = append(urls, part.UploadURL)
				}
			}
			return urls, true
		}
	}
	return nil, !sentBytes(p.result)
}

// offsetOf requests the offset of an upload. It does not wait long for the first response: a
// server that has not noticed the end of the interrupted request holds the upload, and some
// wait for seconds until they look again.
func offsetOf(ctx context.Context, client *tus.Client, uploadURL string) (int64, error) {
	first, cancel := context.WithTimeout(ctx, offsetTimeout/4)
	defer cancel()
	info, err := client.Info(first, uploadURL)
	if err != nil && first.Err() != nil {
		info, err = client.Info(ctx, uploadURL)
	}
	if err != nil {
		return 0, err
	}
	return info.Offset, nil
}

// storedText returns how many bytes of the files the server has, "" if nothing is known.
func storedText(files []pausedFile, exact bool) string {
	var stored, size int64
	sized := true
	for _, p := range files {
		stored += p.result.Offset
		size += max(p.file.size, p.result.Size, 0)
		sized = sized && (p.file.size >= 0 || p.result.Size > 0)
	}
	if stored == 0 && !exact {
		return ""
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
		case o.unstored.Load():
			return "without a resume database, the next run starts these files over"
		case o.hasPausedStream():
			return "to resume the files, " + again + "; standard input starts over"
		case u.Again && o.totals.Uploaded > 0:
			return "to resume, " + again + "; with --again, it repeats the complete uploads"
		}
		return "to resume, " + again
	}
	p := o.unfinished[0]
	stored := !o.unstored.Load() && !p.file.stdin
	hasURL := p.result.URL != "" // parts have none
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
