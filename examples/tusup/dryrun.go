package main

import (
	"context"
	"fmt"

	"github.com/seed-175555ba/tus-go/tus"
)

// printPlan prints the files that would be uploaded, and their number and size.
func (u *uploadCommand) printPlan(ctx context.Context, all []file, out *output) error {
	given, err := u.metadata()
	if err != nil {
		return err
	}
	total, unsized := int64(0), false
	for _, f := range all {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		out.plan(f, u.plannedMetadata(f, given))
		total += max(0, f.size)
		unsized = unsized || f.size < 0
	}
	if out.json {
		out.print(struct {
			Files int   `json:"files"`
			Size  int64 `json:"size"`
		}{len(all), total})
		return out.failure()
	}
	text := fmt.Sprintf("%d files, %s", len(all), bytesText(total))
	if len(all) == 1 {
		text = "1 file, " + bytesText(total)
	}
	if unsized {
		text += " and standard input"
	}
	fmt.Fprintln(out.stdout, text)
	return out.failure()
}

// plannedMetadata returns the metadata of an upload. It does not read standard input.
func (u *uploadCommand) plannedMetadata(f file, given tus.Metadata) tus.Metadata {
	m := tus.Metadata{}
	for key, value := range given {
		m[key] = value
	}
	switch {
	case u.UploadURL != "":
		return nil
	case f.stdin:
		return m
	}
	if name, ok := u.relativeName(f, m); ok {
		m["filename"] = name
	}
	return u.fileMetadata(f, m)
}

// plan prints one file of a dry run.
func (o *output) plan(f file, metadata tus.Metadata) {
	if o.json {
		var size *int64
		if f.size >= 0 {
			size = &f.size
		}
		o.print(struct {
			File     string       `json:"file"`
			Size     *int64       `json:"size"` // null if unknown
			Metadata tus.Metadata `json:"metadata"`
		}{f.name(), size, metadata})
		return
	}
	text := f.name()
	if name := metadata["filename"]; name != "" {
		text += " → " + name
	}
	if f.size >= 0 {
		text += ": " + bytesText(f.size)
	} else {
		text += ": unknown size"
	}
	if kind := metadata["filetype"]; kind != "" {
		text += ", " + kind
	}
	fmt.Fprintln(o.stdout, oneLine(text))
}
