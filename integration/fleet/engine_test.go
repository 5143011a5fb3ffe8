//go:build unix

package fleet

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// awayPlan returns how long the engine is away. A lease of a minute, the default, outlasts four
// fifths of it.
func awayPlan() (lease, away time.Duration) {
	if os.Getenv(killsVariable) != "" {
		return time.Minute, 48 * time.Second
	}
	return 20 * time.Second, 12 * time.Second
}

// The servers of the engine are frozen, as by a network that drops all packets. A cluster of
// NATS would elect a leader afterwards, and be away for longer.
func TestFleet_EngineMayBeAwayForMostOfLease(t *testing.T) {
	t.Parallel() // mostly waits
	eachEngine(t, 1, func(t *testing.T, e engine) {
		lease, away := awayPlan()
		f := newFleet(t, e, lease, 1)
		const uploads = 4
		ended, givenUp := make(chan workerEvent, 100), make(chan workerEvent, uploads)
		f.onEvent = func(_ string, e workerEvent) {
			switch e.Kind {
			case eventEnded:
				ended <- e
			case eventGivenUp:
				givenUp <- e
			}
		}
		f.startSlowly(uploads)
		time.Sleep(lease / 8) // the worst moment is right before a renewal
		e.signal(syscall.SIGSTOP)
		time.Sleep(away)
		e.signal(syscall.SIGCONT)
		time.Sleep(lease / 5)
		if n := len(ended); n > 0 {
			t.Errorf("%d uploads ended while the engine was away for %v: %+v", n, away, <-ended)
		}

		e.signal(syscall.SIGSTOP)
		defer e.signal(syscall.SIGCONT)
		var shortest time.Duration = lease
		for range uploads {
			select {
			case got := <-givenUp:
				shortest = min(shortest, got.Left)
				if got.Left < 0 {
					t.Errorf("%s is given up %v after its lease: %s", got.File, -got.Left, got.Error)
				}
			case <-time.After(2 * lease):
				t.Fatal("an upload continues after its lease")
			}
		}
		t.Logf("away for %v of a lease of %v: no upload ended; for longer: given up %v before its end", away, lease, shortest)
	})
}

// The clocks of two workers differ by 20 minutes. One has all leases, and the other tries to
// get them for several leases.
func TestFleet_WrongClocksStealNoLease(t *testing.T) {
	t.Parallel() // mostly waits
	eachEngine(t, 3, func(t *testing.T, e engine) {
		const lease = 5 * time.Second
		f := newFleet(t, e, lease, 1)
		if !f.clocks {
			t.Skip("NOTICE: no process has a clock of its own here")
		}
		const uploads = 4
		f.startSlowly(uploads)
		first := f.members[0].name
		f.startAhead(10 * time.Minute)
		f.startAhead(-10 * time.Minute)
		time.Sleep(3 * lease)
		if n := f.takeovers.held(first); n != uploads {
			t.Errorf("the worker that began has %d of %d leases", n, uploads)
		}

		// Those whose clocks are wrong take over, and do so at the end of the lease.
		if err := f.members[0].leave(killed); err != nil {
			t.Fatal(err)
		}
		f.wait(2*lease, "takeover of all uploads", func() bool {
			return f.takeovers.held(f.members[1].name)+f.takeovers.held(f.members[2].name) == uploads
		})
		time.Sleep(2 * lease)
		took, _ := f.takeovers.times(killed)
		if len(took) != uploads {
			t.Fatalf("%d takeovers of %d", len(took), uploads)
		}
		if took[0] < lease/2 || took[uploads-1] > lease+2*time.Second {
			t.Errorf("takeovers took %v to %v with a lease of %v", took[0], took[uploads-1], lease)
		}
		if w := f.recorder.writers(); w.uploads != uploads || w.overlapping != 0 || w.earlier != 0 {
			t.Errorf("%d uploads, %d overlapping writers, %d requests of earlier holders", w.uploads, w.overlapping, w.earlier)
		}
		if text := f.problems(); text != "" {
			t.Error(text)
		}
	})
}
