package main

import (
	"cmp"
	"context"
	"fmt"
	"syscall"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/fleet"
)

// workerCommand uploads the jobs of a queue.
type workerCommand struct {
	rootFlag
	Name   string `help:"Name of this worker in the log, the metrics and tusup queue (default: host name and process ID)." placeholder:"NAME"`
	GiveUp int    `help:"Failed attempts of this process after which a job is moved to the failed ones; 0 means never. Failures of the server, of the network and of the credentials do not count." default:"10" placeholder:"N"`

	metricsFlags
	transfer
}

// Run uploads until the process is interrupted.
func (w *workerCommand) Run(ctx context.Context, p *program, c *common) error {
	ignoreSizeLimit()
	if err := w.check(c); err != nil {
		return err
	}
	w.beQuiet(p, c)
	w.Name = cmp.Or(w.Name, workerName())
	root, err := withoutLinks(w.Root)
	if err != nil {
		return usagef("--root: %w", err)
	}
	engine, queue, err := c.openQueue(ctx, p, w.Name)
	if err != nil {
		return err
	}
	defer engine.Close()
	metrics := newWorkerMetrics(w.Name)
	uploader, err := w.uploader(ctx, p, c, root, engine, metrics)
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
	manager := newManager(p)
	report := newWorkerReport(p, c, w, metrics)
	p.logf("worker %s uploads the jobs in %s", w.Name, c.stateText())
	manager.ready("waiting for jobs")
	defer context.AfterFunc(ctx, manager.stopping)()
	err = fleet.Run(ctx, fleet.Config{
		Queue: queue, Name: w.Name, Concurrency: w.Concurrency, GiveUp: w.GiveUp, Upload: uploader.upload, Heartbeat: manager.interval(),
		Hooks: fleet.Hooks{
			OnEnd: report.end,
			OnStatus: func(s fleet.Status, down string) {
				metrics.status(s, down)
				manager.status(queueText(s, down))
			},
			OnLog: func(text string) { p.logf("%s", text) },
		},
	})
	report.summary()
	if context.Cause(ctx) == (interruption{syscall.SIGTERM}) { // the way to stop a service
		return nil
	}
	return err
}

// check returns a usage error for flags that kong accepts.
func (w *workerCommand) check(c *common) error {
	if w.GiveUp < 0 {
		return usagef("--give-up %d: must not be negative", w.GiveUp)
	}
	return w.transfer.check(c)
}

// queueText returns a line such as "12 waiting, 4 in flight, 1 failed; server unreachable: …".
func queueText(s fleet.Status, down string) string {
	text := fmt.Sprintf("%d waiting, %d in flight, %d failed", s.Waiting, s.InFlight, s.Failed)
	if down != "" {
		text += "; " + oneLine(down)
	}
	return text
}
