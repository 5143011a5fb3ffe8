package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
	"github.com/seed-175555ba/tus-go/storage"
)

// listCommand lists the records of the resume database.
type listCommand struct{}

// Help returns the text below the usage.
func (*listCommand) Help() string {
	return "Complete uploads are not repeated, until they are forgotten."
}

// Run prints the records, the last updated one last.
func (*listCommand) Run(ctx context.Context, p *program, c *common) error {
	store, err := c.openExistingState(ctx, p)
	if err != nil || store == nil {
		return err
	}
	defer store.close()
	out := newOutput(p, c.JSON)
	var (
		failed error
		all    []storage.Record
	)
	for rec, err := range store.All(ctx) {
		if err != nil {
			out.logf("%v", err)
			failed = errFailed
			continue
		}
		all = append(all, rec)
	}
	slices.SortFunc(all, func(a, b storage.Record) int {
		return cmp.Or(a.Updated.Compare(b.Updated), cmp.Compare(a.ID, b.ID))
	})
	for _, rec := range all {
		if c.JSON {
			out.print(report.Record{
				ID: rec.ID, Fingerprint: rec.Fingerprint, Endpoint: rec.Endpoint, URL: rec.UploadURL, Parts: len(rec.Parts),
				Size: rec.Size, Metadata: orEmpty(rec.Metadata), Updated: rec.Updated,
				Completed: timeOrNil(rec.Completed), Expires: timeOrNil(rec.Expires),
			})
			continue
		}
		state, at := "unfinished since", rec.Created
		if !rec.Completed.IsZero() {
			state, at = "complete since", rec.Completed
		}
		fmt.Fprintf(p.stdout, "%s: %s, %s %s\n    %s\n    %s\n", oneLine(orDash(rec.Metadata["filename"])), bytesText(rec.Size),
			state, at.Local().Format(time.DateTime), oneLine(location(rec)), oneLine(rec.Fingerprint))
	}
	return failed
}

// location returns the upload URL of a record, or a text for its parts.
func location(rec storage.Record) string {
	switch {
	case rec.UploadURL != "":
		return rec.UploadURL
	case len(rec.Parts) > 0:
		return fmt.Sprintf("%d parts at %s", len(rec.Parts), rec.Endpoint)
	}
	return rec.Endpoint
}

// forgetCommand removes records from the resume database.
type forgetCommand struct {
	Uploads []string `arg:"" optional:"" name:"NAME" help:"Name or fingerprint as printed by tusup list, upload URL, or path of the file. All uploads with this name are forgotten."`
	All     bool     `help:"Forget all uploads." env:"-"`
}

// Help returns the text below the usage.
func (*forgetCommand) Help() string {
	return "They are not resumed, and complete ones are repeated."
}

// Run removes the records.
func (f *forgetCommand) Run(ctx context.Context, p *program, c *common) error {
	if (len(f.Uploads) == 0) != f.All {
		return usagef("forget requires either a name or --all")
	}
	store, err := c.openExistingState(ctx, p)
	if err != nil {
		return err
	}
	used := make([]bool, len(f.Uploads))
	forgotten := 0
	if store != nil {
		defer store.close()
		for rec, err := range store.All(ctx) {
			var corrupt *storage.Error
			if errors.As(err, &corrupt) && corrupt.ID != "" {
				rec, err = storage.Record{ID: corrupt.ID}, nil // matches only --all and its ID
			}
			if err != nil {
				return err
			}
			matches := f.All
			for i, arg := range f.Uploads {
				if isRecordOf(rec, arg) {
					used[i], matches = true, true
				}
			}
			if !matches {
				continue
			}
			if err := store.Delete(ctx, rec.ID, rec.Revision); err != nil {
				return err
			}
			forgotten++
		}
	}
	return f.result(p, c, forgotten, used)
}

// isRecordOf reports whether an argument selects a record.
func isRecordOf(rec storage.Record, arg string) bool {
	if arg == rec.ID || rec.Fingerprint == "" { // corrupt
		return arg == rec.ID
	}
	name := rec.Metadata["filename"]
	if arg == rec.Fingerprint || arg == orDash(name) || arg == orDash(rec.UploadURL) {
		return true
	}
	// The record does not have the path.
	info, err := os.Stat(arg)
	return err == nil && name != "" && info.Size() == rec.Size && strings.HasSuffix("/"+filepath.ToSlash(arg), "/"+name)
}

// result reports how many records were removed. It returns an error if an argument selected
// none.
func (f *forgetCommand) result(p *program, c *common, forgotten int, used []bool) error {
	unused := slices.Index(used, false)
	switch {
	case unused >= 0 && forgotten == 0:
	case c.JSON:
		newOutput(p, true).print(report.Forgotten{Forgotten: forgotten})
	case forgotten > 0:
		fmt.Fprintf(p.stdout, "uploads forgotten: %d\n", forgotten)
	}
	if unused < 0 {
		return nil
	}
	name := f.Uploads[unused]
	if strings.Contains(name, "://") {
		name = "this URL" // it may have a secret
	}
	return fmt.Errorf("no upload of %s in the resume database: see tusup list", name)
}
