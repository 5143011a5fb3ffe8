package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/link"
)

// defaultHeartbeat is the default of Config.Heartbeat.
const defaultHeartbeat = 5 * time.Second

// Run uploads what appears in the directory until ctx ends. It then waits until uploads in
// flight have ended, and returns the error of ctx. Any other error is about the start.
func Run(ctx context.Context, c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	s := newSpool(c)
	s.notifier = newNotifier(c)
	defer s.notifier.close()
	return s.run(ctx)
}

// check returns an error if a spool cannot start.
func (c Config) check() error {
	info, err := os.Stat(c.Dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", c.Dir)
	case c.Concurrency < 1:
		return fmt.Errorf("concurrency %d: must be at least 1", c.Concurrency)
	case c.Scan <= 0:
		return fmt.Errorf("time between scans %v: must be above 0", c.Scan)
	case c.Settle < 0:
		return fmt.Errorf("settle time %v: must not be negative", c.Settle)
	case c.GiveUp < 0:
		return fmt.Errorf("number of attempts %d: must not be negative", c.GiveUp)
	case c.MoveTo != "" && c.Delete:
		return errors.New("uploaded files cannot be both moved and deleted")
	}
	return nil
}

// spool is the state of Run. Only its goroutine uses it.
type spool struct {
	Config
	queue       *queue
	scan        *scanner
	notifier    *notifier
	temporaries *temporaries
	worker      *worker
	link        *link.Link

	results chan result
	found   chan []sighting // of walks
	ended   chan walkEnd
	walking bool
	pending []string // directories to walk after the current walk; "." is then the only one
	scans   uint64   // the number of the current or last scan

	successes uint64 // uploads
	refusals  int    // files set aside at once, without an upload in between
	said      struct {
		link, other, unreadable bool
		outage                  string
	}
}

// walkEnd is the end of a walk of the directory, or of a new directory in it.
type walkEnd struct {
	all bool
	err error
}

func newSpool(c Config) *spool {
	if c.FailedTo == "" {
		c.FailedTo = filepath.Join(c.Dir, ".failed")
	}
	s := &spool{
		Config:      c,
		queue:       newQueue(c.Order),
		scan:        &scanner{dir: c.Dir, follow: c.Follow, excluded: within(c.Dir, c.MoveTo, c.FailedTo)},
		temporaries: newTemporaries(),
		link:        link.New(),
		results:     make(chan result),
		found:       make(chan []sighting),
		ended:       make(chan walkEnd),
	}
	for _, target := range []string{c.MoveTo, c.FailedTo} {
		if info, err := os.Stat(target); err == nil {
			s.scan.targets = append(s.scan.targets, info)
		}
	}
	s.worker = &worker{upload: c.Upload, link: s.link, disposal: &disposal{
		mover:  &mover{scan: s.scan, link: os.Link, rename: os.Rename},
		moveTo: c.MoveTo, delete: c.Delete, failedTo: c.FailedTo,
	}}
	return s
}

// within returns the names in dir of the paths that are below it.
func within(dir string, paths ...string) []string {
	var names []string
	for _, path := range paths {
		name, err := filepath.Rel(dir, path)
		if path != "" && err == nil && name != ".." && !strings.HasPrefix(name, ".."+string(filepath.Separator)) {
			names = append(names, name)
		}
	}
	return names
}

// run is the loop that owns the spool.
func (s *spool) run(ctx context.Context) error {
	interval := s.Heartbeat
	if interval <= 0 {
		interval = defaultHeartbeat
	}
	heartbeat := time.NewTicker(interval)
	defer heartbeat.Stop()
	nextScan := time.NewTimer(s.Scan)
	defer nextScan.Stop()
	wake := time.NewTimer(0)
	defer wake.Stop()

	s.notifier.add(".")
	s.walk(ctx, ".")
	if s.Hooks.OnReady != nil {
		s.Hooks.OnReady()
	}
	for ctx.Err() == nil {
		s.start(ctx)
		wake.Reset(s.idle())
		select {
		case <-ctx.Done():
		case <-wake.C:
			s.wakeUp()
		case <-heartbeat.C:
			s.report()
		case <-s.link.Changed():
			s.sayOutage()
		case <-nextScan.C:
			s.walk(ctx, ".")
		case batch := <-s.found:
			for _, found := range batch {
				s.observe(found, false)
			}
		case end := <-s.ended:
			s.walked(ctx, end)
			if end.all {
				nextScan.Reset(s.Scan)
			}
		case event := <-s.notifier.events():
			s.notified(ctx, event)
		case err := <-s.notifier.errors():
			s.notifierFailed(ctx, err)
		case r := <-s.results:
			s.finish(ctx, r)
		}
	}
	s.drain(ctx)
	return ctx.Err()
}

// drain waits for the goroutines of the spool.
func (s *spool) drain(ctx context.Context) {
	for len(s.queue.busy) > 0 || s.walking {
		select {
		case r := <-s.results:
			s.finish(ctx, r)
		case <-s.found:
		case <-s.ended:
			s.walking = false
		}
	}
}

// start starts the uploads that may start now.
func (s *spool) start(ctx context.Context) {
	for s.mayStart() {
		e := s.queue.first()
		if e == nil {
			return
		}
		if down, _ := s.link.State(); down != (link.Outage{}) && e.failures > 0 {
			e = s.queue.probe()
		}
		s.do(ctx, e, job{})
	}
}

// do gives an entry to a worker.
func (s *spool) do(ctx context.Context, e *entry, j job) {
	j.entry, j.file = e, e.file
	if e.uploaded != nil && j.action == uploadAndDispose {
		j.action = disposeOnly
	}
	s.queue.set(e, busy, time.Time{})
	go func() { s.results <- s.worker.do(ctx, j) }()
}

// mayStart reports whether another upload may start. Without a server, one at a time is
// tried, after a back-off.
func (s *spool) mayStart() bool {
	down, until := s.link.State()
	if down == (link.Outage{}) {
		return len(s.queue.busy) < s.Concurrency
	}
	return len(s.queue.busy) == 0 && !time.Now().Before(until)
}

// idle returns the time until something has to be done without an event.
func (s *spool) idle() time.Duration {
	const longest = time.Hour
	wait := longest
	if due, ok := s.queue.nextDue(); ok {
		wait = min(wait, time.Until(due))
	}
	if down, until := s.link.State(); down != (link.Outage{}) && len(s.queue.busy) == 0 && s.queue.first() != nil {
		wait = min(wait, time.Until(until))
	}
	return max(0, wait)
}

// wakeUp makes entries ready that are due.
func (s *spool) wakeUp() {
	const most = 1000 // so that other events are handled in between
	now := time.Now()
	for range most {
		e := s.queue.due(now)
		if e == nil {
			return
		}
		if e.state == settling {
			found := s.scan.look(e.file.Name)
			if found.kind != regularFile || !found.file.equal(e.file) {
				s.observe(found, false)
				if s.queue.due(now) == e { // it cannot be read: look again later
					s.queue.set(e, settling, now.Add(max(s.Settle, time.Second)))
				}
				continue
			}
		}
		s.queue.set(e, ready, time.Time{})
	}
}

// report calls OnStatus.
func (s *spool) report() {
	if s.Hooks.OnStatus != nil {
		s.Hooks.OnStatus(s.status())
	}
}

func (s *spool) status() Status {
	status := s.queue.status()
	down, _ := s.link.State()
	status.Down = down.String()
	return status
}

// sayOutage logs when the server becomes unreachable or reachable.
func (s *spool) sayOutage() {
	down, _ := s.link.State()
	if down.What == s.said.outage {
		return
	}
	s.said.outage = down.What
	status := s.status()
	waiting := "1 file waits"
	if n := status.Waiting + status.InFlight; n != 1 {
		waiting = fmt.Sprintf("%d files wait", n)
	}
	if down == (link.Outage{}) {
		s.logf("server reachable again; %s", waiting)
	} else {
		s.logf("%v; %s; retrying", down, waiting)
	}
	s.report()
}
