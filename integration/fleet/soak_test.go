//go:build unix

package fleet

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/integration/tusdtest"
)

func TestMain(m *testing.M) {
	child.Main(append(roles(), tusdtest.Roles()...)...)
	os.Exit(m.Run())
}

// killsVariable is the number of kills of a long run.
const killsVariable = "TUS_SOAK_FLEET"

// soakPlan says what a soak does.
type soakPlan struct {
	kills int           // of workers
	pause time.Duration // between two kills
	open  int           // incomplete files at a time
	fail  time.Duration // between two failures of the engine
	fails int           // at most
	down  time.Duration // of a server that failed
	lease time.Duration
	timed bool // the times are tested
}

func planOf(t *testing.T, e engine) soakPlan {
	p := soakPlan{
		kills: 25, pause: 500 * time.Millisecond, open: 8,
		fail: 8 * time.Second, fails: 1, down: time.Second, lease: 5 * time.Second,
	}
	if value := os.Getenv(killsVariable); value != "" {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			t.Fatalf("%s is %q, not a number of kills", killsVariable, value)
		}
		p.kills, p.pause, p.open, p.fail, p.fails, p.timed = n, 450*time.Millisecond, 12, 20*time.Second, n, true
		if e.name() == enginePostgres {
			p.fail = 90 * time.Second
		}
	}
	return p
}

func TestFleet_SurvivesKills(t *testing.T) {
	t.Parallel() // mostly waits
	eachEngine(t, 3, func(t *testing.T, e engine) {
		plan := planOf(t, e)
		seed := uint64(time.Now().UnixNano())
		if given := os.Getenv("TUS_SOAK_SEED"); given != "" {
			var err error
			if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("seed %d", seed)
		f := newFleet(t, e, plan.lease, seed)
		row := f.soak(plan, rand.New(rand.NewPCG(seed, 1)))
		t.Log("\n" + row.String())
		t.Logf("slow takeovers:\n%s", strings.Join(f.takeovers.slow(plan.lease+time.Second), "\n"))
		row.check(t)
		if plan.timed { // a short run shares the processors with other tests
			row.checkTimes(t)
		}
		if text := f.problems(); text != "" {
			t.Error(text)
		}
	})
}

// soak kills workers and servers until the number of kills is reached, and waits until all
// files are complete.
func (f *fleet) soak(plan soakPlan, random *rand.Rand) *tally {
	row := &tally{engine: f.engine.name(), lease: plan.lease, began: time.Now()}
	ctx, cancel := context.WithCancel(context.Background())
	probing := make(chan struct{})
	go func() {
		defer close(probing)
		f.probe(ctx)
	}()
	failing := make(chan struct{})
	failures, endFailures := context.WithCancel(ctx)
	go func() {
		defer close(failing)
		for range plan.fails {
			select {
			case <-failures.Done():
				return
			case <-time.After(plan.fail):
			}
			from := time.Now()
			if err := f.engine.fail(plan.down); err != nil {
				f.t.Errorf("failure of the engine: %v", err)
				return
			}
			f.t.Logf("a server of the engine failed at %s", clock(from))
			f.takeovers.outage(from, from.Add(plan.down+time.Second))
			row.failovers++
		}
	}()
	f.fill(plan)
	f.start(3)
	stops := make(chan error, plan.kills)
	row.kill(f, plan, random, stops)
	endFailures()
	<-failing
	for range row.stops {
		if err := <-stops; err != nil {
			f.t.Error(err)
		}
	}
	f.wait(2*time.Minute, "completion of all files", func() bool { return f.files.incomplete() == 0 })
	f.files.checks.Wait()
	f.finish()
	cancel()
	<-probing
	row.took = time.Since(row.began)
	row.count(f)
	return row
}

func (f *fleet) fill(plan soakPlan) {
	if err := f.files.fill(plan.open); err != nil {
		f.t.Error(err)
	}
}

// kill kills workers: one in ten is only stopped for a while, and another is told to end.
func (row *tally) kill(f *fleet, plan soakPlan, random *rand.Rand, stops chan<- error) {
	for n := 0; n < plan.kills && !f.t.Failed(); {
		f.fill(plan)
		time.Sleep(plan.pause/2 + time.Duration(random.Int64N(int64(plan.pause))))
		m := f.victim(random)
		var err error
		switch {
		case m == nil:
			continue
		case n%10 == 9 && !f.anyStopped():
			row.stops++
			go func() { stops <- m.stop() }()
			f.wait(time.Second, "stop", f.anyStopped)
		case n%10 == 4:
			row.terms++
			err = m.end(terminated)
		default:
			row.kills++
			err = m.end(killed)
		}
		if err != nil {
			f.t.Error(err)
		}
		n++
	}
}
