package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/link"
	"github.com/seed-175555ba/tus-go/tus"
)

const (
	firstDelay   = time.Second
	longestDelay = 5 * time.Minute
	// heldDelay is the wait for a job without a known end of the lease.
	heldDelay = 15 * time.Second
)

// Config configures Run.
type Config struct {
	Queue *Queue
	// Name is the name of this worker.
	Name string
	// Concurrency is the maximum number of jobs in flight.
	Concurrency int
	// GiveUp is the number of failed attempts after which a job is given up. With 0, no job
	// is given up. Failures of the server and of the network do not count.
	GiveUp int
	// Upload uploads a job. It returns a nil error only if the upload is complete and
	// recorded as such, and a [*tus.HeldError] if another worker has it. The result may be nil
	// after an error.
	Upload func(ctx context.Context, j Job, l *link.Link) (*tus.Result, error)
	Hooks  Hooks
	// Heartbeat is the interval of Hooks.OnStatus.
	Heartbeat time.Duration
}

// Hooks are called from several goroutines. Each may be nil.
type Hooks struct {
	// OnEnd is called when an attempt ended.
	OnEnd func(End)
	// OnStatus is called at each Heartbeat, with why no upload can succeed now, "" if there
	// is no known reason.
	OnStatus func(s Status, down string)
	// OnLog is called with a text for the operator.
	OnLog func(text string)
}

// Kind is how an attempt ended.
type Kind string

// Kinds of ends.
const (
	Uploaded Kind = "uploaded"
	Already  Kind = "already"   // an earlier upload was complete
	Retried  Kind = "retried"   // failed; there will be another attempt
	SetAside Kind = "set_aside" // failed for the last time
	Held     Kind = "held"      // another worker has the upload
	Released Kind = "released"  // paused by the end of the worker, for another one
)

// End describes the end of an attempt.
type End struct {
	Kind   Kind
	Job    Job
	Result *tus.Result // never nil
	// Attempts is the number of failed attempts of this worker that count.
	Attempts int
	// Delay is the time until the next attempt.
	Delay time.Duration
	Err   error
}

// worker takes jobs, each in one of several goroutines.
type worker struct {
	Config
	link *link.Link
	fail context.CancelCauseFunc

	mu       sync.Mutex
	busy     int            // goroutines that have a job or wait for one
	attempts map[string]int // failures that count, by key of the job
}

// Run uploads jobs until ctx ends. It then pauses the uploads, returns their jobs to the
// queue, and returns the cause of the end of ctx. It also ends if the connection was closed for
// good.
func Run(ctx context.Context, c Config) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	w := &worker{Config: c, link: link.New(), attempts: map[string]int{}, fail: fail}
	var group sync.WaitGroup
	for range c.Concurrency {
		group.Go(func() { w.work(ctx) })
	}
	group.Go(func() { w.watch(ctx) })
	group.Wait()
	w.flush()
	return context.Cause(ctx)
}

// work takes one job after the other.
func (w *worker) work(ctx context.Context) {
	for w.wait(ctx) {
		d, err := w.Queue.next()
		if errors.Is(err, nats.ErrConnectionClosed) {
			w.fail(fmt.Errorf("NATS: %w", err))
		} else if err != nil {
			if ctx.Err() == nil {
				w.sleep(ctx, firstDelay)
			}
		} else if d != nil {
			w.do(ctx, d)
		}
		w.mu.Lock()
		w.busy--
		w.mu.Unlock()
	}
}

// wait returns when a job may be taken, or false when ctx ends. While uploads fail because of
// the server, one job at a time is taken, after a back-off.
func (w *worker) wait(ctx context.Context) bool {
	for {
		down, until := w.link.State()
		w.mu.Lock()
		if ctx.Err() == nil && (down == (link.Outage{}) || w.busy == 0 && !time.Now().Before(until)) {
			w.busy++
			w.mu.Unlock()
			return true
		}
		w.mu.Unlock()
		if ctx.Err() != nil {
			return false
		}
		w.sleep(ctx, nodeRetry)
	}
}

func (w *worker) sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// do uploads a job, and then removes it from the queue or returns it.
func (w *worker) do(ctx context.Context, d *delivery) {
	if ctx.Err() != nil {
		w.warn(d, d.release())
		return
	}
	if d.invalid != nil {
		w.giveUp(ctx, d, &tus.Result{}, fmt.Errorf("not a job: %w", d.invalid))
		return
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var renewal sync.WaitGroup
	renewal.Go(func() { d.renew(renewing) })
	result, err := w.Upload(ctx, d.job, w.link)
	if result == nil {
		result = &tus.Result{}
	}
	if err == nil {
		w.done(ctx, d, result)
	}
	stop()
	renewal.Wait()
	if err != nil {
		w.failed(ctx, d, result, err)
	}
}

// done removes a job from the queue whose upload is complete. If that fails, another worker
// finds it complete.
func (w *worker) done(ctx context.Context, d *delivery, result *tus.Result) {
	kind := Uploaded
	if result.AlreadyComplete {
		kind = Already
	}
	w.link.Reached()
	w.warn(d, d.done(context.WithoutCancel(ctx)))
	w.forget(d)
	w.end(End{Kind: kind, Job: d.job, Result: result})
}

// failed returns a job to the queue, or gives it up.
func (w *worker) failed(ctx context.Context, d *delivery, result *tus.Result, err error) {
	verdict := link.Judge(err)
	if ctx.Err() != nil {
		w.warn(d, d.release())
		w.end(End{Kind: Released, Job: d.job, Result: result, Err: err})
		return
	}
	kind, delay := Retried, w.delay(d)
	attempts := 0
	switch verdict {
	case link.TryLater:
		kind, delay = Held, heldFor(err)
	case link.FileRefused:
		if w.GiveUp > 0 {
			w.giveUp(ctx, d, result, err)
			return
		}
	case link.ServerFailed, link.FileUnread:
		attempts = w.count(d)
		if w.GiveUp > 0 && attempts >= w.GiveUp {
			w.giveUp(ctx, d, result, err)
			return
		}
	case link.ServerDown, link.StoreDown:
		w.link.Fail(err, time.Now())
	}
	w.warn(d, d.later(delay))
	w.end(End{Kind: kind, Job: d.job, Result: result, Attempts: attempts, Delay: delay, Err: err})
}

// delay returns the wait before the next attempt, which grows with the deliveries.
func (w *worker) delay(d *delivery) time.Duration {
	delay := min(firstDelay<<min(d.times, 16), longestDelay)
	return delay*3/4 + rand.N(delay/4)
}

// heldFor returns the wait for a job that another worker has: until the end of its lease.
func heldFor(err error) time.Duration {
	var held *tus.HeldError
	if !errors.As(err, &held) {
		return heldDelay
	}
	return min(max(time.Until(held.Until), 0), 2*time.Minute) + 100*time.Millisecond
}

// giveUp moves a job to those that failed.
func (w *worker) giveUp(ctx context.Context, d *delivery, result *tus.Result, err error) {
	attempts := w.count(d)
	failure := Failure{Attempts: attempts, Error: err.Error(), Worker: w.Name, Time: time.Now().UTC().Truncate(time.Second)}
	if queueErr := d.giveUp(context.WithoutCancel(ctx), failure); queueErr != nil {
		w.warn(d, queueErr) // the job is delivered again
		return
	}
	w.forget(d)
	w.end(End{Kind: SetAside, Job: d.job, Result: result, Attempts: attempts, Err: err})
}

func (w *worker) count(d *delivery) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts[d.key]++
	return w.attempts[d.key]
}

func (w *worker) forget(d *delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.attempts, d.key)
}

func (w *worker) end(e End) {
	if w.Hooks.OnEnd != nil {
		w.Hooks.OnEnd(e)
	}
}

// warn logs a failure of the queue. The job is delivered again after ackWait.
func (w *worker) warn(d *delivery, err error) {
	if err != nil && w.Hooks.OnLog != nil {
		w.Hooks.OnLog(fmt.Sprintf("warning: %s: state of the job not stored: %v", d.job.Name(), err))
	}
}

// watch reports the state of the queue, and when uploads start or cease to fail.
func (w *worker) watch(ctx context.Context) {
	ticker := time.NewTicker(w.Heartbeat)
	defer ticker.Stop()
	for reported := ""; ctx.Err() == nil; {
		if status, err := w.Queue.Status(ctx); err == nil && w.Hooks.OnStatus != nil {
			down, _ := w.link.State()
			w.Hooks.OnStatus(status, down.String())
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case <-w.link.Changed():
			reported = w.logOutage(reported)
		}
	}
}

// logOutage logs a change of the link. It returns what it logged.
func (w *worker) logOutage(reported string) string {
	down, _ := w.link.State()
	if down.What == reported || w.Hooks.OnLog == nil {
		return down.What
	}
	if down == (link.Outage{}) {
		w.Hooks.OnLog("server reachable again")
	} else {
		w.Hooks.OnLog(down.String() + "; retrying")
	}
	return down.What
}

// flush returns when the server has received the state of all jobs.
func (w *worker) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), fetchWait)
	defer cancel()
	_ = w.Queue.js.Conn().FlushWithContext(ctx)
	// The server handles acknowledgments in a goroutine of its own.
	_, _ = w.Queue.consumer.Info(ctx)
}
