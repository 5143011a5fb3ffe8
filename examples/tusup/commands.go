package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

// infoCommand prints the state of an upload.
type infoCommand struct {
	URL string `arg:"" name:"URL" help:"Upload URL."`
}

// Run requests the upload's state.
func (i *infoCommand) Run(ctx context.Context, p *program, c *common) error {
	client, err := c.urlClient(p, i.URL)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	info, err := client.Info(ctx, i.URL)
	if err != nil {
		return c.withAdvice(err)
	}
	out := newOutput(p, c.JSON)
	if c.JSON {
		out.print(report.Info{
			URL: withoutUser(i.URL), Offset: info.Offset, Length: info.Length, LengthDeferred: info.LengthDeferred,
			Complete: info.Complete(), Metadata: orEmpty(info.Metadata), Concat: cmp.Or(info.Concat, "none"), Expires: timeOrNil(info.Expires),
		})
		return nil
	}
	length := bytesText(info.Length)
	if info.LengthDeferred {
		length = "an unknown length"
	}
	fmt.Fprintf(p.stdout, "offset    %d (%s of %s)\ncomplete  %v\n", info.Offset, bytesText(info.Offset), length, info.Complete())
	for _, key := range slices.Sorted(maps.Keys(info.Metadata)) {
		fmt.Fprintf(p.stdout, "metadata  %s = %q\n", oneLine(key), info.Metadata[key])
	}
	if info.Concat != "" {
		fmt.Fprintf(p.stdout, "concat    %s\n", oneLine(info.Response.Header.Get("Upload-Concat")))
	}
	if !info.Expires.IsZero() {
		fmt.Fprintf(p.stdout, "expires   %s\n", info.Expires.Format(time.RFC3339))
	}
	return nil
}

// orEmpty returns m, which in JSON is an object also if it is nil.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// terminateCommand deletes an upload.
type terminateCommand struct {
	URL string `arg:"" name:"URL" help:"Upload URL."`
}

// Run deletes the upload.
func (t *terminateCommand) Run(ctx context.Context, p *program, c *common) error {
	client, err := c.urlClient(p, t.URL)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	if err := client.Terminate(ctx, t.URL); err != nil {
		return c.withAdvice(err)
	}
	out := newOutput(p, c.JSON)
	if c.JSON {
		out.print(report.Terminated{Terminated: withoutUser(t.URL)})
	}
	return nil
}

// capabilitiesCommand prints what a server supports.
type capabilitiesCommand struct{}

// Run requests the capabilities.
func (*capabilitiesCommand) Run(ctx context.Context, p *program, c *common) error {
	endpoint := c.endpoint()
	if endpoint == "" {
		return usagef("no endpoint: use --endpoint or set TUS_ENDPOINT")
	}
	client, err := c.newClient(p, endpoint, tus.Options{})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	caps, err := client.Capabilities(ctx)
	if err != nil {
		return c.withAdvice(err)
	}
	out := newOutput(p, c.JSON)
	if c.JSON {
		out.print(report.Capabilities{
			Versions: append([]string{}, caps.Versions...), Extensions: append([]string{}, caps.Extensions...),
			MaxSize: caps.MaxSize, Checksums: append([]string{}, caps.ChecksumAlgorithms...),
		})
		return nil
	}
	limit := "not advertised" // there may be one
	if caps.MaxSize > 0 {
		limit = fmt.Sprintf("%d (%s)", caps.MaxSize, bytesText(caps.MaxSize))
	}
	fmt.Fprintf(p.stdout, "versions    %s\nmax size    %s\n", oneLine(strings.Join(caps.Versions, " ")), limit)
	for _, e := range caps.Extensions {
		fmt.Fprintf(p.stdout, "extension   %s\n", oneLine(e))
	}
	if len(caps.ChecksumAlgorithms) > 0 {
		fmt.Fprintf(p.stdout, "checksums   %s\n", oneLine(strings.Join(caps.ChecksumAlgorithms, " ")))
	}
	return nil
}

// listCommand lists the records of the resume database.
type listCommand struct{}

// Run reads the database.
func (*listCommand) Run(ctx context.Context, p *program, c *common) error {
	store, err := c.openExistingState(p)
	if err != nil || store == nil {
		return err
	}
	defer store.Close()
	out := newOutput(p, c.JSON)
	var failed error
	for rec, err := range store.All(ctx) {
		if err != nil {
			out.logf("%v", err)
			failed = errFailed
			continue
		}
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
	Fingerprint string `arg:"" optional:"" name:"FINGERPRINT" help:"Fingerprint from tusup list, or the ID of a record."`
	All         bool   `help:"Forget all uploads." env:"-"`
}

// Run removes the records.
func (f *forgetCommand) Run(ctx context.Context, p *program, c *common) error {
	if (f.Fingerprint == "") != f.All {
		return usagef("forget requires either a fingerprint or --all")
	}
	store, err := c.openExistingState(p)
	if err != nil {
		return err
	}
	if store == nil {
		return f.result(p, c, 0)
	}
	defer store.Close()
	forgotten := 0
	for rec, err := range store.All(ctx) {
		var corrupt *storage.Error
		if errors.As(err, &corrupt) && corrupt.ID != "" {
			rec, err = storage.Record{ID: corrupt.ID}, nil // matches only --all and its ID
		}
		if err != nil {
			return err
		}
		if !f.All && rec.Fingerprint != f.Fingerprint && rec.ID != f.Fingerprint {
			continue
		}
		if err := store.Delete(ctx, rec.ID, rec.Revision); err != nil {
			return err
		}
		forgotten++
	}
	return f.result(p, c, forgotten)
}

// result reports how many records were removed, and returns an error if none matched.
func (f *forgetCommand) result(p *program, c *common, forgotten int) error {
	if forgotten == 0 && !f.All {
		return errors.New("no upload has this fingerprint or ID")
	}
	if c.JSON {
		newOutput(p, true).print(report.Forgotten{Forgotten: forgotten})
	}
	return nil
}
