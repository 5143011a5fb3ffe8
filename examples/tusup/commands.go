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
	out := &output{program: p, json: c.JSON}
	if c.JSON {
		out.print(struct {
			URL            string            `json:"url"`
			Offset         int64             `json:"offset"`
			Length         int64             `json:"length"`
			LengthDeferred bool              `json:"length_deferred"`
			Complete       bool              `json:"complete"`
			Metadata       map[string]string `json:"metadata"`
			Concat         string            `json:"concat"`
			Expires        *time.Time        `json:"expires,omitempty"`
		}{withoutUser(i.URL), info.Offset, info.Length, info.LengthDeferred, info.Complete(), info.Metadata, cmp.Or(info.Concat, "none"), timeOrNil(info.Expires)})
		return out.failure()
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
	return c.withAdvice(client.Terminate(ctx, t.URL))
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
	out := &output{program: p, json: c.JSON}
	if c.JSON {
		out.print(struct {
			Versions   []string `json:"versions"`
			Extensions []string `json:"extensions"`
			MaxSize    int64    `json:"max_size"`
			Checksums  []string `json:"checksum_algorithms"`
		}{caps.Versions, caps.Extensions, caps.MaxSize, caps.ChecksumAlgorithms})
		return out.failure()
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
	out := &output{program: p, json: c.JSON}
	for rec, err := range store.All(ctx) {
		if err != nil {
			out.logf("%v", err)
			out.failed = true
			continue
		}
		if c.JSON {
			out.print(struct {
				Fingerprint string            `json:"fingerprint"`
				Endpoint    string            `json:"endpoint"`
				URL         string            `json:"url"`
				Parts       int               `json:"parts"`
				Size        int64             `json:"size"`
				Metadata    map[string]string `json:"metadata"`
				Updated     time.Time         `json:"updated"`
				Expires     *time.Time        `json:"expires,omitempty"`
			}{rec.Fingerprint, rec.Endpoint, rec.UploadURL, len(rec.Parts), rec.Size, rec.Metadata, rec.Updated, timeOrNil(rec.Expires)})
			continue
		}
		fmt.Fprintf(p.stdout, "%s\n    %s, %s, %s\n", oneLine(rec.Fingerprint), oneLine(location(rec)), bytesText(rec.Size), rec.Updated.Local().Format(time.DateTime))
	}
	return out.failure()
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
		return f.result(0)
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
	return f.result(forgotten)
}

// result returns an error if no record matched.
func (f *forgetCommand) result(forgotten int) error {
	if forgotten == 0 && !f.All {
		return errors.New("no upload has this fingerprint or ID")
	}
	return nil
}
