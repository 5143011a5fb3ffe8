package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/digest"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/files"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/manifest"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
)

// verifyCommand compares files with a manifest.
type verifyCommand struct {
	Manifest      string `arg:"" name:"MANIFEST" help:"File of --manifest, or of sha256sum; - is standard input. Paths are relative to the working directory."`
	Download      bool   `help:"Also download each upload from the URL in the manifest, and compare it. A server that does not serve uploads is not a failure."`
	IgnoreMissing bool   `help:"Do not fail for local files that do not exist."`
}

// Run compares each file of the manifest.
func (v *verifyCommand) Run(ctx context.Context, p *program, c *common) error {
	entries, errs, err := v.read(ctx, p)
	if err != nil {
		return err
	}
	out := newOutput(p, c.JSON)
	failed := len(errs) > 0
	for _, err := range errs {
		out.logf("%s: %v", v.Manifest, err)
	}
	if len(entries) == 0 && len(errs) == 0 {
		return fmt.Errorf("%s: no entries", v.Manifest)
	}
	var remote *downloads
	if v.Download {
		if remote, err = c.downloads(p); err != nil {
			return err
		}
		defer remote.client.CloseIdleConnections()
	}
	counts := map[report.Verdict]int{}
	for _, entry := range entries {
		l := report.Verified{Name: report.NameOf(entry.Name), Digest: "sha256:" + entry.Digest}
		l.Local, l.LocalError = v.local(ctx, entry)
		if remote != nil {
			l.URL = entry.URL
			l.Remote, l.RemoteError = remote.compare(ctx, entry)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, result := range []report.Verdict{l.Local, l.Remote} {
			if result != "" {
				counts[result]++
			}
		}
		failed = failed || v.isFailure(l.Local) || v.isFailure(l.Remote)
		out.verified(entry.Name, l)
	}
	out.logVerdicts(counts)
	if failed {
		return errFailed
	}
	return nil
}

// read reads the manifest.
func (v *verifyCommand) read(ctx context.Context, p *program) ([]manifest.Entry, []error, error) {
	var errs []error
	parse := func(r io.Reader) (entries []manifest.Entry, err error) {
		entries, errs = manifest.Read(bufio.NewReader(r))
		return entries, nil
	}
	if v.Manifest == "-" {
		entries, err := readInput(ctx, p.stdin, parse)
		if err != nil { // parse may still run
			return nil, nil, err
		}
		return entries, errs, nil
	}
	f, err := os.Open(v.Manifest)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	entries, err := parse(f)
	return entries, errs, err
}

// isFailure reports whether a verdict is a reason for exit code 1.
func (v *verifyCommand) isFailure(result report.Verdict) bool {
	switch result {
	case report.Different, report.Unreadable:
		return true
	case report.Missing:
		return !v.IgnoreMissing
	}
	return false
}

// local compares the local file of an entry. Standard input is no longer available.
func (v *verifyCommand) local(ctx context.Context, entry manifest.Entry) (report.Verdict, string) {
	if entry.Name == "-" {
		return "", ""
	}
	d, err := digest.OfFile(ctx, entry.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return report.Missing, ""
	case err != nil:
		return report.Unreadable, files.WithoutPath(err).Error()
	case d.Hex() != entry.Digest:
		return report.Different, ""
	}
	return report.Equal, ""
}

// verdictText returns the text of a verdict. Those of sha256sum are the same.
func verdictText(v report.Verdict) string {
	switch v {
	case report.Equal:
		return "OK"
	case report.Different:
		return "FAILED"
	case report.Unreadable:
		return "FAILED open or read"
	case report.NotServed:
		return "not served"
	case report.NoURL:
		return "no URL in the manifest"
	}
	return string(v)
}

// verified prints the verdicts of one entry. Errors also go to standard error.
func (o *output) verified(name string, l report.Verified) {
	if l.LocalError != "" {
		o.logf("%s: %s", name, l.LocalError)
	}
	if l.RemoteError != "" && l.Remote != report.NotServed {
		o.logf("%s: %s", l.URL, l.RemoteError)
	}
	if o.json {
		o.print(l)
		return
	}
	if l.Local != "" {
		fmt.Fprintf(o.stdout, "%s: %s\n", oneLine(name), verdictText(l.Local))
	}
	switch {
	case l.Remote == report.NotServed:
		fmt.Fprintf(o.stdout, "%s: %s (%s)\n", oneLine(l.URL), verdictText(l.Remote), l.RemoteError)
	case l.URL != "":
		fmt.Fprintf(o.stdout, "%s: %s\n", oneLine(l.URL), verdictText(l.Remote))
	case l.Remote != "":
		fmt.Fprintf(o.stdout, "%s: %s\n", oneLine(name), verdictText(l.Remote))
	}
}

// logVerdicts logs how often each verdict occurred, unless all comparisons were equal.
func (o *output) logVerdicts(counts map[report.Verdict]int) {
	var texts []string
	for _, v := range []struct {
		verdict report.Verdict
		text    string
	}{
		{report.Equal, "equal"}, {report.Different, "different"}, {report.Unreadable, "unreadable"}, {report.Missing, "missing"},
		{report.NotServed, "not served by the server"}, {report.NoURL, "without a URL"},
	} {
		if n := counts[v.verdict]; n > 0 {
			texts = append(texts, fmt.Sprintf("%s: %d", v.text, n))
		}
	}
	if len(counts) > 1 || counts[report.Equal] == 0 {
		o.logf("%s", strings.Join(texts, ", "))
	}
}
