package tus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

// clockStore is the store of a fleet with a clock that differs from that of the machine.
type clockStore struct {
	*machineStore
	ahead time.Duration
	takes time.Duration // for a reading, which is of its start
	fail  func() error
}

func (s clockStore) Now(context.Context) (time.Time, error) {
	now := time.Now().Add(s.ahead)
	time.Sleep(s.takes)
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return time.Time{}, err
		}
	}
	return now, s.call("now")
}

// withClock returns the stores of two machines, whose clocks differ from that of the store.
func (fl *fleet) withClock(ahead time.Duration, fail func(op string) error) (a, b clockStore) {
	return clockStore{machineStore: fl.machine("a", fail), ahead: ahead}, clockStore{machineStore: fl.machine("b", nil), ahead: ahead}
}

// firstPatch returns when a worker sent the first bytes.
func (fl *fleet) firstPatch(worker string) time.Duration {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	for _, p := range fl.patches {
		if p.worker == worker {
			return p.at
		}
	}
	return forGood
}

func TestClock_LeaseOfLivingHolderIsNotAcquired(t *testing.T) {
	for _, ahead := range []time.Duration{-10 * time.Minute, 0, 10 * time.Minute} {
		withFleet(t, func(t *testing.T, fl *fleet) {
			storeA, storeB := fl.withClock(ahead, nil)
			fl.start("a", tus.Options{Store: storeA, RequireStore: true}, chunked())
			for range 9 {
				time.Sleep(20 * time.Second)
				rec := records(t, fl.shared)[0]
				if left := time.Until(rec.Lease.Until.Add(-ahead)); left < 30*time.Second || left > time.Minute {
					t.Errorf("%v: the lease ends in %v by the clock of the store", ahead, left)
				}
				fl.start("b", tus.Options{Store: storeB}, &tus.UploadOptions{Held: tus.HeldFail})
				time.Sleep(time.Second)
				if b := fl.end("b"); !isHeld(b.err) {
					t.Fatalf("%v: b: %v", ahead, b.err)
				}
			}
			previous, err := fl.newClient(&tus.Options{Store: storeB}).PreviousUploads(t.Context(), tus.Bytes(fl.data), nil)
			if err != nil || len(previous) != 1 || previous[0].HeldUntil.IsZero() {
				t.Errorf("%v: previous uploads are %+v, %v", ahead, previous, err)
			}
			fl.working.Wait()
			if a := fl.end("a"); a.err != nil {
				t.Errorf("%v: a: %v", ahead, a.err)
			}
		})
	}
}

func TestClock_LeaseOfDeadHolderIsAcquiredAtItsEnd(t *testing.T) {
	for _, ahead := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		for _, lease := range []time.Duration{0, 10 * time.Second} {
			withFleet(t, func(t *testing.T, fl *fleet) {
				storeA, storeB := fl.withClock(ahead, fl.failing("", 20*time.Second, forGood))
				fl.start("a", tus.Options{Store: storeA, RequireStore: true, Lease: lease}, chunked())
				time.Sleep(21 * time.Second)
				until := records(t, fl.shared)[0].Lease.Until.Add(-ahead).Sub(fl.began)
				fl.start("b", tus.Options{Store: storeB, RequireStore: true}, chunked())
				fl.working.Wait()
				a, b := fl.end("a"), fl.end("b")
				wantError(t, a.err, tus.ErrStore)
				if a.at > until {
					t.Errorf("a ended after %v, its lease after %v", a.at, until)
				}
				if b.err != nil || b.res.Stats.ResumedFrom == 0 {
					t.Fatalf("b: %+v, %v", b.res, b.err)
				}
				fl.wantOneWriter()
				if first := fl.firstPatch("b"); first < until || first > until+2*time.Second {
					t.Errorf("b began after %v, the lease ended after %v", first, until)
				}
				wantStored(t, fl.h, b.res.URL, fl.data)
			})
		}
	}
}

// The worst moment for a failure is right before a renewal.
func TestClock_StoreMayBeAwayForFourFifthsOfLease(t *testing.T) {
	for at := 10 * time.Second; at < 18*time.Second; at += time.Second {
		for away, ends := range map[time.Duration]bool{48 * time.Second: false, 62 * time.Second: true} {
			withFleet(t, func(t *testing.T, fl *fleet) {
				store, _ := fl.withClock(0, fl.failing("", at, away))
				fl.start("a", tus.Options{Store: store, RequireStore: true}, chunked())
				time.Sleep(at + time.Second)
				until := records(t, fl.shared)[0].Lease.Until.Sub(fl.began)
				fl.working.Wait()
				a := fl.end("a")
				if ends {
					wantError(t, a.err, tus.ErrStore)
				} else if a.err != nil {
					t.Errorf("away from %v for %v: %v", at, away, a.err)
				}
				if ends && a.at > until {
					t.Errorf("away from %v: ended after %v, the lease after %v", at, a.at, until)
				}
			})
		}
	}
}

// A reading that takes long does not shorten the lease: it is counted from a time that the
// clock of the store had reached.
func TestClock_SlowReadingShortensNoLease(t *testing.T) {
	withFleet(t, func(t *testing.T, fl *fleet) {
		storeA, storeB := fl.withClock(0, fl.failing("put", 21*time.Second, forGood))
		storeA.takes = 20 * time.Second
		fl.start("a", tus.Options{Store: storeA, RequireStore: true}, chunked())
		time.Sleep(35 * time.Second)
		fl.start("b", tus.Options{Store: storeB}, chunked())
		fl.working.Wait()
		wantError(t, fl.end("a").err, tus.ErrStore)
		if b := fl.end("b"); b.err != nil {
			t.Errorf("b: %v", b.err)
		}
		fl.wantOneWriter()
	})
}

func TestClock_FailureIsThatOfStore(t *testing.T) {
	withFleet(t, func(t *testing.T, fl *fleet) {
		store, _ := fl.withClock(0, nil)
		store.fail = func() error { return errNoRoute }
		fl.start("a", tus.Options{Store: store, RequireStore: true}, chunked())
		fl.working.Wait()
		err := fl.end("a").err
		wantError(t, err, tus.ErrStore)
		wantError(t, err, errNoRoute)
		if n := len(fl.patches) + fl.h.Count("POST"); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestLease_OptionOutOfRangeIsRefused(t *testing.T) {
	for _, lease := range []time.Duration{-1, time.Nanosecond, 5*time.Second - 1, time.Minute + 1, time.Hour} {
		_, err := tus.NewClient("http://example.org/files/", &tus.Options{Lease: lease, Store: &storage.Memory{}})
		if !errors.Is(err, tus.ErrInvalidInput) || !strings.Contains(err.Error(), "Options.Lease") {
			t.Errorf("%v: %v", lease, err)
		}
	}
}

// Another Uploader, with the default, waits for the short lease and not for a minute.
func TestLease_ShortOneIsRenewedAndEndsSoon(t *testing.T) {
	withFleet(t, func(t *testing.T, fl *fleet) {
		store := fl.machine("a", fl.failing("", 50*time.Second, forGood))
		fl.start("a", tus.Options{Store: store, RequireStore: true, Lease: 5 * time.Second}, chunked())
		for range 8 {
			time.Sleep(6 * time.Second)
			fl.start("b", tus.Options{Store: fl.machine("b", nil), Lease: 5 * time.Second}, &tus.UploadOptions{Held: tus.HeldFail})
			time.Sleep(100 * time.Millisecond)
			if b := fl.end("b"); !isHeld(b.err) {
				t.Fatalf("b: %v", b.err)
			}
		}
		time.Sleep(2 * time.Second)
		fl.start("c", tus.Options{Store: fl.machine("c", nil)}, chunked())
		fl.working.Wait()
		a, c := fl.end("a"), fl.end("c")
		wantError(t, a.err, tus.ErrStore)
		if first := fl.firstPatch("c"); a.at > 55*time.Second || c.err != nil || first < a.at || first > 58*time.Second {
			t.Errorf("a ended after %v, c began after %v: %v", a.at, first, c.err)
		}
		fl.wantOneWriter()
	})
}
