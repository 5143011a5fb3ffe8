package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/fleet"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
	"github.com/seed-175555ba/tus-go/tus"
)

// fleetDir is the directory of the embedded NATS.
const fleetDir = "fleet"

// rootFlag is the flag of commands with paths that all workers have.
type rootFlag struct {
	Root string `help:"Directory that all workers have, such as a mount: the paths in the queue are relative to it (default: the working directory)." default:"." placeholder:"DIR"`
}

// enqueueCommand puts jobs into the queue.
type enqueueCommand struct {
	Sources []string `arg:"" optional:"" name:"SOURCE" help:"File or directory below --root, or http or https URL. The queue has URLs with their queries, such as the signature of a signed URL."`

	rootFlag
	selection
	naming
}

// Run puts each source into the queue, unless it is there.
func (e *enqueueCommand) Run(ctx context.Context, p *program, c *common) error {
	paths, urls := splitURLs(e.Sources)
	if err := e.check(c, paths, urls); err != nil {
		return err
	}
	root, err := withoutLinks(e.Root)
	if err != nil {
		return usagef("--root: %w", err)
	}
	given, err := e.metadata()
	if err != nil {
		return err
	}
	out := newOutput(p, c.JSON)
	jobs, err := e.jobs(ctx, c, root, paths, urls, given, out)
	if err != nil {
		return err
	}
	if len(jobs) == 0 {
		return out.failure()
	}
	engine, queue, err := c.openQueue(ctx, p, workerName())
	if err != nil {
		return err
	}
	defer engine.Close()
	return e.add(ctx, queue, jobs, out)
}

// check returns a usage error for flags that kong accepts.
func (e *enqueueCommand) check(c *common, paths, urls []string) error {
	if c.endpoint() == "" {
		return usagef("no endpoint: use --endpoint URL or set TUS_ENDPOINT")
	}
	if err := (fleet.Job{Source: "x", Endpoint: c.endpoint()}).Validate(); err != nil {
		return usagef("%w: give them to the workers", err)
	}
	for _, u := range urls {
		if err := (fleet.Job{Source: u, Endpoint: c.endpoint()}).Validate(); err != nil { // the URL is not repeated: it may have a secret
			return usagef("a URL %w", err)
		}
	}
	if len(c.Header) > 0 || c.TokenFile != "" {
		return usagef("--header and --token-file cannot be used with enqueue: give them to the workers")
	}
	for _, path := range paths {
		if path == "-" {
			return usagef("standard input cannot be put into a queue")
		}
	}
	if len(paths) > 0 || len(urls) == 0 || e.FilesFrom != "" {
		if err := e.checkSelection(paths); err != nil {
			return err
		}
	}
	return c.check()
}

// splitURLs separates the paths of arguments from the URLs.
func splitURLs(args []string) (paths, urls []string) {
	for _, arg := range args {
		if (fleet.Job{Source: arg}).IsURL() {
			urls = append(urls, arg)
		} else {
			paths = append(paths, arg)
		}
	}
	return paths, urls
}

// jobs returns a job for each source. It reports sources that cannot be uploaded.
func (e *enqueueCommand) jobs(ctx context.Context, c *common, root string, paths, urls []string, given tus.Metadata, out *output) ([]fleet.Job, error) {
	var files []file
	if len(paths) > 0 || e.FilesFrom != "" {
		var err error
		if files, err = e.selectFiles(ctx, paths, out); err != nil {
			return nil, err
		}
	}
	var jobs []fleet.Job
	for _, f := range files {
		job := fleet.Job{Endpoint: c.endpoint(), Metadata: e.keyMetadata(f, given)}
		if _, set := job.Metadata["filename"]; !set {
			job.Metadata["filename"] = filepath.Base(f.path)
		}
		source, err := belowRoot(root, f.path)
		if job.Source = source; err == nil {
			err = job.Validate()
		}
		if err != nil {
			out.result(f, &tus.Result{}, fmt.Errorf("cannot be put into the queue: %w", err))
			continue
		}
		jobs = append(jobs, job)
	}
	for _, raw := range urls {
		job := fleet.Job{Source: raw, Endpoint: c.endpoint(), Metadata: orEmpty(maps.Clone(given))}
		u, err := url.Parse(raw)
		if name := path.Base(u.Path); err == nil && job.Metadata["filename"] == "" && strings.Trim(name, "/.") != "" {
			job.Metadata["filename"] = name
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

// belowRoot returns the path of a file relative to root, with slashes. Links to directories
// are resolved, but not one to the file.
func belowRoot(root, path string) (string, error) {
	dir, err := withoutLinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	relative, err := filepath.Rel(root, filepath.Join(dir, filepath.Base(path)))
	if err != nil || !filepath.IsLocal(relative) {
		return "", fmt.Errorf("it is not below --root %s", root)
	}
	return filepath.ToSlash(relative), nil
}

// openQueue opens the queue of --state, which is by default in an embedded NATS.
func (c *common) openQueue(ctx context.Context, p *program, name string) (*fleet.Engine, *fleet.Queue, error) {
	switch {
	case c.NoState:
		return nil, nil, usagef("--no-state cannot be used with a queue")
	case isPostgresURL(c.State):
		return nil, nil, usagef("--state: a queue requires NATS, such as nats://HOST")
	case c.State == "":
		c.State = fleetDir
	case !c.sharedState():
		return nil, nil, usagef("--state %s: a queue requires nats://HOST, or the directory of an embedded NATS", c.State)
	}
	engine, err := c.openEngine(ctx, p, name)
	if err != nil {
		return nil, nil, err
	}
	queue, err := engine.OpenQueue(ctx)
	if err != nil {
		engine.Close()
		return nil, nil, stateError{err}
	}
	return engine, queue, nil
}

// add puts jobs into the queue, and prints what was added.
func (e *enqueueCommand) add(ctx context.Context, queue *fleet.Queue, jobs []fleet.Job, out *output) error {
	totals := report.QueuedTotals{}
	for _, job := range jobs {
		added, err := queue.Add(ctx, job)
		if err != nil {
			return fmt.Errorf("%s: %w; added before: %d", job.Name(), err, totals.Added)
		}
		if added {
			totals.Added++
		} else {
			totals.Already++
		}
		if out.json {
			out.print(report.Queued{Name: report.NameOf(job.Name()), Endpoint: job.Endpoint, Queued: added})
			continue
		}
		text := "queued " + job.Name()
		if !added {
			text = "already queued " + job.Name()
		}
		fmt.Fprintln(out.stdout, oneLine(text))
	}
	totals.Failed = out.totals.Failed
	if out.json {
		out.print(report.QueuedSummary{Queued: totals})
	} else if len(jobs) > 1 {
		out.logf("%d queued, %d already queued", totals.Added, totals.Already)
	}
	return out.failure()
}
