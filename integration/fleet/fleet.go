//go:build unix

package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/storage"
)

const (
	clientRate = 512 << 10 // of an upload in bytes per second
	serverRate = 3 << 20   // of an upload of kind slow
)

// fleet is a set of workers that share an engine, and upload to one server.
type fleet struct {
	t         testing.TB
	engine    engine
	server    *tusdtest.Server
	recorder  *recorder
	takeovers *takeovers
	files     *files
	lease     time.Duration
	rate      int64 // of each upload; see workerConfig
	machines  bool  // the workers have namespaces of their own
	clocks    bool  // their clocks differ

	mu       sync.Mutex
	members  []*member
	written  int64 // by workers that have ended
	ended    map[string]int
	failures []string
	onEvent  func(worker string, e workerEvent)
}

// member is a worker, which is started again each time it ends.
type member struct {
	fleet   *fleet
	index   int
	ahead   time.Duration
	life    int
	name    string
	process *child.Process
	ready   bool
	stopped bool
	counter string
}

func newFleet(t testing.TB, e engine, lease time.Duration, seed uint64) *fleet {
	t.Helper()
	f := &fleet{t: t, engine: e, lease: lease, rate: clientRate, takeovers: newTakeovers(lease), ended: map[string]int{}}
	f.recorder = newRecorder(serverRate, f.takeovers.request)
	f.server = tusdtest.Start(t, &tusdtest.Options{Wrap: f.recorder.record})
	dir := filepath.Join(t.TempDir(), "files")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f.files = &files{
		dir: dir, server: f.server, recorder: f.recorder, random: rand.New(rand.NewPCG(seed, 2)), keep: 2 * lease,
		sums: map[string]string{}, done: map[string]string{},
	}
	f.machines, f.clocks = probeMachines(t)
	return f
}

// probeMachines reports whether this system allows namespaces, and clocks of their own, for
// workers.
func probeMachines(t testing.TB) (machines, clocks bool) {
	t.Helper()
	probe := func(config workerConfig) error {
		attributes := machineAttributes()
		if !config.Machine {
			attributes = nil
		}
		config.Probe = true
		var name string
		p, err := child.StartWith(t, workerRole, config, attributes, func(line json.RawMessage) {
			var e workerEvent
			_ = json.Unmarshal(line, &e)
			name = e.Machine
		})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Wait(ctx); err != nil {
			return err
		}
		if config.Machine && (name == "" || name == machineName()) {
			return fmt.Errorf("a worker is on machine %q, as its parent", name)
		}
		return nil
	}
	if err := probe(workerConfig{Machine: true}); err != nil {
		t.Logf("NOTICE: all workers are in one PID namespace: %v", err)
	} else {
		machines = true
	}
	if err := probe(workerConfig{Ahead: time.Hour}); err != nil {
		t.Logf("NOTICE: the clocks of all workers are right: %v", err)
	} else {
		clocks = true
	}
	return machines, clocks
}

// start starts workers whose clocks differ by ten minutes.
func (f *fleet) start(n int) {
	f.t.Helper()
	for i := range n {
		f.startAhead([]time.Duration{0, 10 * time.Minute, -10 * time.Minute}[i%3])
	}
}

// startAhead starts a worker whose clock is ahead.
func (f *fleet) startAhead(ahead time.Duration) {
	f.t.Helper()
	f.mu.Lock()
	m := &member{fleet: f, index: len(f.members), ahead: ahead}
	f.members = append(f.members, m)
	f.mu.Unlock()
	m.start()
}

// startSlowly starts one worker with uploads that last longer than any test.
func (f *fleet) startSlowly(uploads int) {
	f.t.Helper()
	f.rate = 8 << 10
	if err := f.files.fill(uploads); err != nil {
		f.t.Fatal(err)
	}
	f.start(1)
	if !f.wait(time.Minute, "start of all uploads", func() bool { return f.writing() == uploads }) {
		f.t.FailNow()
	}
}

// writing returns the number of uploads of which bytes were received.
func (f *fleet) writing() int {
	r := f.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, up := range r.uploads {
		if len(up.patches) > 0 && up.patches[0].bytes > 0 {
			n++
		}
	}
	return n
}

// start starts the worker, with another name than before.
func (m *member) start() {
	f := m.fleet
	f.mu.Lock()
	m.life++
	name := fmt.Sprintf("%d.%d", m.index, m.life)
	m.name, m.ready, m.stopped, m.counter = name, false, false, filepath.Join(filepath.Dir(f.files.dir), "written-"+name)
	f.mu.Unlock()
	config := workerConfig{
		Name: name, Engine: f.engine.name(), URL: f.engine.url(), Endpoint: f.server.Endpoint(), Dir: f.files.dir,
		Written: m.counter, Lease: f.lease, Rate: f.rate, Machine: f.machines,
	}
	if f.clocks {
		config.Ahead = m.ahead
	}
	attributes := machineAttributes()
	if !f.machines {
		attributes = nil
	}
	p, err := child.StartWith(f.t, workerRole, config, attributes, func(line json.RawMessage) {
		var e workerEvent
		if json.Unmarshal(line, &e) == nil {
			f.note(m, name, e)
		}
	})
	if err != nil {
		f.t.Error(err)
		return
	}
	f.mu.Lock()
	m.process = p
	f.mu.Unlock()
}

// note handles an event of a worker.
func (f *fleet) note(m *member, worker string, e workerEvent) {
	f.takeovers.note(worker, e)
	if e.Kind == eventDone {
		f.files.complete(e.File, e.URL)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch e.Kind {
	case eventReady:
		m.ready = true
	case eventEnded:
		f.ended[classOf(e)]++
	case eventFailed:
		f.failures = append(f.failures, worker+": "+e.File+": "+e.Error)
	}
	if f.onEvent != nil {
		f.onEvent(worker, e)
	}
}

// classOf returns the sentinel of the error of an event.
func classOf(e workerEvent) string {
	if e.Store {
		return "ErrStore"
	}
	return "ErrLeaseLost"
}

// victim returns a random worker that holds files and runs, nil if there is none.
func (f *fleet) victim(random *rand.Rand) *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range random.Perm(len(f.members)) {
		if m := f.members[i]; m.ready && !m.stopped && f.takeovers.held(m.name) > 0 {
			return m
		}
	}
	return nil
}

// anyStopped reports whether a worker is stopped.
func (f *fleet) anyStopped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		if m.stopped {
			return true
		}
	}
	return false
}

// end ends the worker with a signal and starts the next one.
func (m *member) end(why cause) error {
	if err := m.leave(why); err != nil {
		return err
	}
	m.start()
	return nil
}

// leave ends the worker with a signal.
func (m *member) leave(why cause) error {
	f := m.fleet
	at := time.Now()
	if why == terminated {
		f.takeovers.lost(m.name, why, at)
		if err := m.process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.process.Wait(ctx); err != nil {
			return fmt.Errorf("worker %s after SIGTERM: %w", m.name, err)
		}
	} else {
		m.process.Kill()
		f.takeovers.lost(m.name, why, at)
	}
	f.count(m)
	return nil
}

// count adds what a worker that has ended has written.
func (f *fleet) count(m *member) {
	n := bytesWritten(m.counter)
	os.Remove(m.counter)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written += n
}

// stop stops the worker for 1.5 leases.
func (m *member) stop() error {
	f := m.fleet
	f.mu.Lock()
	m.stopped = true
	f.mu.Unlock()
	if err := m.process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	f.takeovers.lost(m.name, stopped, time.Now())
	time.Sleep(f.lease * 3 / 2)
	f.takeovers.resumed(m.name, time.Now())
	f.t.Logf("worker %s runs again at %s", m.name, clock(time.Now()))
	err := m.process.Signal(syscall.SIGCONT)
	f.mu.Lock()
	m.stopped = false
	f.mu.Unlock()
	return err
}

// finish ends all workers.
func (f *fleet) finish() {
	for _, m := range f.members {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := m.process.Stop(ctx); err != nil {
			f.t.Errorf("worker %s: %v", m.name, err)
		}
		cancel()
		f.count(m)
	}
}

// probe puts a record again and again, and records when the engine was away.
func (f *fleet) probe(ctx context.Context) {
	store, end, err := openStore(ctx, f.engine.name(), f.engine.url())
	if err != nil {
		f.t.Error(err)
		return
	}
	defer end()
	rec := storage.Record{ID: storage.NewID(), Fingerprint: "probe", UploadURL: "http://example.org/", Created: time.Now()}
	for last := time.Now(); ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		attempt, cancel := context.WithTimeout(ctx, 15*time.Second)
		stored, err := store.Put(attempt, rec)
		cancel()
		switch {
		case err == nil:
			rec = stored
			if now := time.Now(); now.Sub(last) > time.Second {
				f.takeovers.outage(last, now)
			}
			last = time.Now()
		case errors.Is(err, storage.ErrConflict) && ctx.Err() == nil: // an earlier attempt succeeded
			if found, err := store.Find(ctx, rec.Fingerprint); err == nil && len(found) == 1 {
				rec = found[0]
			}
		}
	}
}

// wait waits until a condition is met.
func (f *fleet) wait(limit time.Duration, what string, met func() bool) bool {
	for end := time.Now().Add(limit); !met(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Errorf("%s: not within %v", what, limit)
			return false
		}
	}
	return true
}

// problems returns the errors that must not occur, each only a few times.
func (f *fleet) problems() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := append(append(f.failures, f.files.mismatches...), f.recorder.writers().problems...)
	return strings.Join(all[:min(len(all), 20)], "\n")
}
