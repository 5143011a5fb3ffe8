package boltstore

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"go.etcd.io/bbolt"
)

// slowDisk is a group whose commits block until finish receives their error. It records
// the number of changes of each commit.
type slowDisk struct {
	*group
	finish  chan error
	batches []int
}

func newSlowDisk() *slowDisk {
	d := &slowDisk{finish: make(chan error)}
	begin := func(context.Context) error { return nil }
	d.group = newGroup(begin, func(batch []*change) {
		d.batches = append(d.batches, len(batch))
		err := <-d.finish
		for _, c := range batch {
			if _, c.err = c.apply(nil); c.err == nil {
				c.err = err
			}
		}
	})
	return d
}

// start calls do in a goroutine and returns when it blocks.
func (d *slowDisk) start(ctx context.Context, err error) (result <-chan error) {
	done := make(chan error, 1)
	go func() {
		done <- d.do(ctx, &change{apply: func(*bbolt.Bucket) (func(), error) { return nil, err }})
	}()
	synctest.Wait()
	return done
}

func TestGroup_ChangesDuringCommitShareNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newSlowDisk()
		errRefused, errDisk := errors.New("refused"), errors.New("disk is full")
		first := d.start(t.Context(), nil)
		var rest []<-chan error
		for range 9 {
			rest = append(rest, d.start(t.Context(), nil))
		}
		refused := d.start(t.Context(), errRefused)
		d.finish <- nil
		if err := <-first; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		last := d.start(t.Context(), nil) // after the second commit began
		d.finish <- nil
		for _, result := range rest {
			if err := <-result; err != nil {
				t.Error(err)
			}
		}
		if err := <-refused; err != errRefused {
			t.Errorf("error %v, want %v", err, errRefused)
		}
		d.finish <- errDisk
		if err := <-last; err != errDisk {
			t.Errorf("error %v, want %v", err, errDisk)
		}
		if want := []int{1, 10, 1}; !slices.Equal(d.batches, want) {
			t.Errorf("commits of %v changes, want %v", d.batches, want)
		}
		// The group is idle and usable again.
		next := d.start(t.Context(), nil)
		d.finish <- nil
		if err := <-next; err != nil || len(d.sem) > 0 || len(d.queue) > 0 {
			t.Errorf("error %v, %d commits, queue of %d", err, len(d.sem), len(d.queue))
		}
	})
}

func TestGroup_CanceledChangeLeavesQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newSlowDisk()
		ctx, cancel := context.WithCancel(t.Context())
		committing := d.start(ctx, nil)
		waiting := d.start(ctx, nil)
		staying := d.start(t.Context(), nil)
		cancel()
		if err := <-waiting; err != context.Canceled {
			t.Errorf("error %v, want context.Canceled", err)
		}
		d.finish <- nil
		if err := <-committing; err != nil {
			t.Errorf("change being committed: %v", err)
		}
		d.finish <- nil
		if err := <-staying; err != nil {
			t.Error(err)
		}
		if want := []int{1, 1}; !slices.Equal(d.batches, want) {
			t.Errorf("commits of %v changes, want %v", d.batches, want)
		}
	})
}

// If begin waits for a lock, it ends with the context of its caller, and the next caller
// begins. Other errors are those of all callers.
func TestGroup_CanceledBeginLeavesOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newSlowDisk()
		begun := make(chan error)
		d.begin = func(ctx context.Context) error {
			select {
			case err := <-begun:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		first, second, third := d.start(ctx, nil), d.start(t.Context(), nil), d.start(t.Context(), nil)
		cancel()
		if err := <-first; err != context.Canceled {
			t.Errorf("error %v, want context.Canceled", err)
		}
		begun <- nil
		d.finish <- nil
		for _, result := range []<-chan error{second, third} {
			if err := <-result; err != nil {
				t.Error(err)
			}
		}
		if want := []int{2}; !slices.Equal(d.batches, want) {
			t.Errorf("commits of %v changes, want %v", d.batches, want)
		}
		errLocked := errors.New("locked")
		fourth, fifth := d.start(t.Context(), nil), d.start(t.Context(), nil)
		begun <- errLocked
		for _, result := range []<-chan error{fourth, fifth} {
			if err := <-result; err != errLocked {
				t.Errorf("error %v, want %v", err, errLocked)
			}
		}
	})
}

// A caller commits the changes of others even if its context is canceled.
func TestGroup_CanceledCallerCommitsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newSlowDisk()
		first := d.start(t.Context(), nil)
		ctx, cancel := context.WithCancel(t.Context())
		second, third := d.start(ctx, nil), d.start(t.Context(), nil)
		d.finish <- nil
		<-first
		synctest.Wait() // the second commits for itself and the third
		cancel()
		d.finish <- nil
		if err := <-second; err != nil {
			t.Error(err)
		}
		if err := <-third; err != nil {
			t.Error(err)
		}
	})
}
