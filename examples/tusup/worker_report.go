package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/fleet"
)

// workerReport prints what happened to each job. Its methods may be called concurrently.
type workerReport struct {
	*output
	common  *common
	worker  *workerCommand
	metrics *workerMetrics
	mu      sync.Mutex
}

func newWorkerReport(p *program, c *common, w *workerCommand, m *workerMetrics) *workerReport {
	return &workerReport{output: newOutput(p, c.JSON), common: c, worker: w, metrics: m}
}

// end reports the end of an attempt.
func (o *workerReport) end(e fleet.End) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.metrics.ended(string(e.Kind), e.Kind == fleet.Uploaded)
	o.totals.BytesSent += e.Result.Stats.Sent
	name := e.Job.Name()
	switch e.Kind {
	case fleet.Uploaded, fleet.Already:
		o.count(e)
		if !o.json {
			fmt.Fprintln(o.stdout, oneLine(uploadedText(name, e.Result.Size, e.Result)))
		}
	case fleet.SetAside:
		o.count(e)
		o.logf("%s: failed after %d attempts: %v; to retry, tusup enqueue it again", name, e.Attempts, e.Err)
	case fleet.Retried:
		if e.Attempts > 0 || o.common.Verbose { // otherwise it is not about the file
			o.logf("%s: failed attempts: %d; retrying in %v: %v", name, e.Attempts, e.Delay.Round(time.Second), e.Err)
		}
	case fleet.Held:
		o.metrics.leaseWaits.Inc()
		if o.common.Verbose {
			o.logf("%s: another worker has it; looking again in %v", name, e.Delay.Round(time.Second))
		}
	case fleet.Released:
		o.totals.Files++
		o.totals.Unfinished++
		o.logf("%s: paused, for another worker", name)
	}
}

// count adds a job to the totals, and prints it with --json.
func (o *workerReport) count(e fleet.End) {
	o.totals.Files++
	o.totals.Bytes += e.Result.Size
	switch e.Kind {
	case fleet.Uploaded:
		o.totals.Uploaded++
	case fleet.Already:
		o.totals.AlreadyUploaded++
	default:
		o.totals.Failed++
	}
	if o.json {
		line := fileOf(file{path: e.Job.Name(), size: e.Result.Size}, e.Result, e.Err)
		line.Worker = o.worker.Name
		o.print(line)
	}
}

// summary prints the totals with --json.
func (o *workerReport) summary() {
	if o.json {
		o.printSummary()
	}
}
