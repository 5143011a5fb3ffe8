package main

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/fleet"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
)

// queueCommand lists the jobs of the queue.
type queueCommand struct{}

// Run prints the jobs, those that failed last.
func (*queueCommand) Run(ctx context.Context, p *program, c *common) error {
	if c.State == "" && !fleet.IsEmbedded(fleetDir) {
		return usagef("no queue: use --state, or run tusup queue where %s is", fleetDir)
	}
	engine, queue, err := c.openQueue(ctx, p, workerName())
	if err != nil {
		return err
	}
	defer engine.Close()
	out := newOutput(p, c.JSON)
	err = queue.Queued(ctx, func(j fleet.Job, added time.Time) {
		if c.JSON {
			out.print(report.Job{Name: report.NameOf(j.Name()), Endpoint: j.Endpoint, State: report.JobQueued, Time: added.UTC()})
			return
		}
		fmt.Fprintf(p.stdout, "%s: queued since %s\n", oneLine(j.Name()), added.Local().Format(time.DateTime))
	})
	if err != nil {
		return err
	}
	err = queue.Failed(ctx, func(j fleet.Job, f fleet.Failure) {
		if c.JSON {
			out.print(report.Job{
				Name: report.NameOf(j.Name()), Endpoint: j.Endpoint, State: report.JobFailed, Time: f.Time,
				Attempts: f.Attempts, Worker: f.Worker, Reason: f.Error,
			})
			return
		}
		fmt.Fprintf(p.stdout, "%s: failed at %s on %s, attempts: %d\n    %s\n", oneLine(j.Name()), f.Time.Local().Format(time.DateTime),
			oneLine(f.Worker), f.Attempts, oneLine(f.Error))
	})
	if err != nil {
		return err
	}
	status, err := queue.Status(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		out.print(report.QueueSummary{Queue: report.QueueTotals{Waiting: status.Waiting, InFlight: status.InFlight, Failed: status.Failed}})
	} else {
		out.logf("%d waiting, %d in flight, %d failed", status.Waiting, status.InFlight, status.Failed)
	}
	return nil
}
