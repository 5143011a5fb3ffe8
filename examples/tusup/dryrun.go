package main

import (
	"context"
	"fmt"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
	"github.com/seed-175555ba/tus-go/tus"
)

// plan is a dry run. It sends no request.
type plan struct {
	*uploadCommand
	out   *output
	given tus.Metadata
	// client, if non-nil, finds the stored uploads of a file.
	client *tus.Client
	// complete is the number of files that are already uploaded.
	complete int
	shared   bool // the resume database
}

// printPlan prints the files that would be uploaded, and their number and size.
func (u *uploadCommand) printPlan(ctx context.Context, c *common, all []file, given tus.Metadata, out *output) error {
	p := plan{uploadCommand: u, out: out, given: given, shared: c.sharedState()}
	end := p.openState(ctx, c)
	defer end()
	total, unsized := int64(0), false
	for _, f := range all {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.print(ctx, f)
		total += max(0, f.size)
		unsized = unsized || f.size < 0
	}
	p.printTotal(len(all), total, unsized)
	return out.failure()
}

// openState sets the client if there is a resume database. The digests are part of the
// resume keys, and not computed in a dry run.
func (p *plan) openState(ctx context.Context, c *common) (end func()) {
	end = func() {}
	if c.NoState || c.endpoint() == "" || p.wantsDigest() || p.UploadURL != "" {
		return end
	}
	store, err := c.openExistingState(ctx, p.out.program)
	if err != nil || store == nil {
		if err != nil {
			p.out.logf("stored uploads are unknown: %v", err)
		}
		return end
	}
	opts := tus.Options{Fingerprinter: fingerprinter(p.Fingerprint), Store: store.Store}
	if p.client, err = c.newClient(p.out.program, c.endpoint(), opts); err != nil {
		p.out.logf("stored uploads are unknown: %v", err)
	}
	return store.close
}

// stored reports whether an upload of f would be resumed, or is complete.
func (p *plan) stored(ctx context.Context, f file, opts tus.UploadOptions) (resumes, complete bool) {
	if p.client == nil || f.stdin {
		return false, false
	}
	previous, err := p.client.PreviousUploads(ctx, tus.File(f.path), &opts)
	if err != nil {
		p.out.logf("%s: %v", f.name(), err)
	}
	for _, upload := range previous {
		if upload.Completed.IsZero() {
			resumes = true
		} else if !p.Again {
			complete = true
		}
	}
	return resumes && !complete, complete
}

// options returns the options of an upload. It does not read standard input.
func (p *plan) options(f file) tus.UploadOptions {
	switch {
	case p.UploadURL != "":
		return tus.UploadOptions{}
	case f.stdin:
		return tus.UploadOptions{Metadata: p.given}
	}
	key := p.keyMetadata(f, p.given)
	return tus.UploadOptions{Metadata: p.fileMetadata(f, key), ResumeKey: p.resumeKey(f, key, p.shared)}
}

// print prints one file.
func (p *plan) print(ctx context.Context, f file) {
	opts := p.options(f)
	resumes, complete := p.stored(ctx, f, opts)
	if complete {
		p.complete++
	}
	if p.out.json {
		var size *int64
		if f.size >= 0 {
			size = &f.size
		}
		p.out.print(report.Planned{Name: report.NameOf(f.name()), Size: size, Metadata: orEmpty(opts.Metadata), Resumes: resumes, AlreadyUploaded: complete})
		return
	}
	text := f.name()
	if name := opts.Metadata["filename"]; name != "" {
		text += " → " + name
	}
	if f.size >= 0 {
		text += ": " + bytesText(f.size)
	} else {
		text += ": unknown size"
	}
	if kind := opts.Metadata["filetype"]; kind != "" {
		text += ", " + kind
	}
	switch {
	case complete:
		text += ", already uploaded"
	case resumes:
		text += ", resumes an upload"
	}
	fmt.Fprintln(p.out.stdout, oneLine(text))
}

// printTotal prints the number of files and their size.
func (p *plan) printTotal(files int, size int64, unsized bool) {
	if p.out.json {
		p.out.print(report.Plan{Plan: report.PlanTotals{AlreadyUploaded: p.complete, Files: files, Bytes: size}})
		return
	}
	text := fmt.Sprintf("%d files, %s", files, bytesText(size))
	if files == 1 {
		text = "1 file, " + bytesText(size)
	}
	if unsized {
		text += " and standard input"
	}
	if p.complete > 0 {
		text += fmt.Sprintf("; %d already uploaded", p.complete)
	}
	fmt.Fprintln(p.out.stdout, text)
}
