package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/spool"
)

// watchCommand uploads what appears in a directory.
type watchCommand struct {
	Dir string `arg:"" name:"DIR" help:"Directory whose files are uploaded. Names that begin with a dot or end with .part, .tmp or .crdownload are not."`

	Scan     time.Duration `help:"Time between two scans of the directory, which find what the notifications of the file system missed." default:"30s"`
	Settle   time.Duration `help:"How long the size and the modification time of a file must rest before it is uploaded. A file that is renamed from a name that is not uploaded is uploaded at once." default:"5s"`
	Order    string        `help:"Which file is uploaded first: ${enum}." enum:"oldest,smallest,name" default:"oldest"`
	MoveTo   string        `help:"Move uploaded files to this directory (default: keep them)." placeholder:"DIR"`
	Delete   bool          `help:"Delete uploaded files (default: keep them)."`
	GiveUp   int           `help:"Failed attempts after which a file is set aside; 0 means never. Failures of the server, of the network and of the credentials do not count." default:"10" placeholder:"N"`
	FailedTo string        `help:"Directory for files that are set aside, each with NAME.reason.txt (default: .failed in DIR)." placeholder:"DIR"`
	Follow   bool          `help:"Upload files to which symbolic links point."`

	metricsFlags
	transfer
	naming
}

// Run uploads until the process is interrupted.
func (w *watchCommand) Run(ctx context.Context, p *program, c *common) error {
	ignoreSizeLimit()
	if err := w.check(c); err != nil {
		return err
	}
	w.beQuiet(p, c)
	config, err := w.config()
	if err != nil {
		return err
	}
	if inDirectory(c.State, config.Dir) {
		return usagef("--state %s: must not be in the directory that is watched", c.State)
	}
	metrics := newWatchMetrics()
	uploader, err := w.uploader(ctx, p, c, config.Dir, metrics)
	if err != nil {
		return err
	}
	defer uploader.close()
	if w.Metrics != "" {
		server, err := metrics.serve(w.Metrics, p)
		if err != nil {
			return fmt.Errorf("--metrics %s: %w", w.Metrics, err)
		}
		defer server.Close()
	}
	report := newWatchReport(p, c, w, metrics)
	manager := newManager(p)
	config.Upload = uploader.upload
	config.Heartbeat = manager.interval()
	config.Hooks = spool.Hooks{
		OnReady: func() { manager.ready("scanning the directory") },
		OnEnd:   report.end,
		OnStatus: func(s spool.Status) {
			metrics.status(s)
			manager.status(statusText(s))
		},
		OnLog: func(text string) { p.logf("%s", text) },
	}
	defer context.AfterFunc(ctx, manager.stopping)()
	err = spool.Run(ctx, config)
	report.summary()
	if context.Cause(ctx) == (interruption{syscall.SIGTERM}) { // the way to stop a service
		return nil
	}
	return err
}

// check returns a usage error for flags that kong accepts.
func (w *watchCommand) check(c *common) error {
	switch {
	case c.endpoint() == "":
		return usagef("no endpoint: use --endpoint URL or set TUS_ENDPOINT")
	case w.Delete && w.MoveTo != "":
		return usagef("--delete cannot be used with --move-to")
	case w.Scan <= 0:
		return usagef("--scan %v: must be above 0", w.Scan)
	case w.Settle < 0:
		return usagef("--settle %v: must not be negative", w.Settle)
	case w.GiveUp < 0:
		return usagef("--give-up %d: must not be negative", w.GiveUp)
	}
	if _, err := w.metadata(); err != nil {
		return err
	}
	return w.transfer.check(c)
}

// config returns the configuration of the spool. Its paths are absolute and without links:
// they are part of the resume key.
func (w *watchCommand) config() (spool.Config, error) {
	config := spool.Config{
		Scan: w.Scan, Settle: w.Settle, Follow: w.Follow,
		Order: spool.Order(w.Order), Concurrency: w.Concurrency, GiveUp: w.GiveUp, Delete: w.Delete,
	}
	var err error
	if config.Dir, err = withoutLinks(w.Dir); err != nil {
		return config, err
	}
	for _, target := range []struct {
		flag, value string
		path        *string
	}{{"--move-to", w.MoveTo, &config.MoveTo}, {"--failed-to", w.FailedTo, &config.FailedTo}} {
		if target.value == "" {
			continue
		}
		if *target.path, err = targetPath(target.value); err != nil {
			return config, err
		}
		if sameFile(*target.path, config.Dir) {
			return config, usagef("%s %s: must not be the directory that is watched", target.flag, target.value)
		}
	}
	return config, nil
}

// inDirectory reports whether a path that is set is below dir, which is absolute and without
// links.
func inDirectory(path, dir string) bool {
	if path == "" {
		return false
	}
	parent, err := withoutLinks(filepath.Dir(path))
	return err == nil && (parent == dir || strings.HasPrefix(parent, dir+string(filepath.Separator)))
}

// sameFile reports whether two paths are of the same file, also by mounts or other case.
func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	second, otherErr := os.Stat(b)
	return err == nil && otherErr == nil && os.SameFile(first, second)
}

// targetPath creates a directory and returns its path without links.
func targetPath(path string) (string, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return "", err
	}
	return withoutLinks(path)
}

// withoutLinks returns the absolute path of an existing file, with the links in path resolved.
func withoutLinks(path string) (string, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}
