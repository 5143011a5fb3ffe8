package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
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

// orEmpty returns m, or an empty map if it is nil: one to add to, and an object in JSON.
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
