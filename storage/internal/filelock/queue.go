package filelock

import (
	"cmp"
	"context"
	"os"
	"sync/atomic"
)

// A Queue locks files for a process that locks often, and briefly, like its competitors.
// It waits in the system: unlike the function Lock, which tries again and again, it gets
// the lock within microseconds, and a process that locks often does not starve others.
// The zero value is ready to use.
type Queue struct {
	waiting atomic.Bool // a system call is waiting
}

// Lock waits until it acquires the lock of f. If ctx is done first, Lock returns the
// error of ctx. On any error, Lock closes f.
func (q *Queue) Lock(ctx context.Context, f *os.File) error {
	ok, err := tryLock(f)
	if ok {
		return nil
	}
	if err = cmp.Or(lockError(f, err), ctx.Err()); err != nil {
		f.Close()
		return err
	}
	// The system call cannot be canceled, so one may remain of a call whose ctx is done.
	// There is never more than one, however long the lock is held.
	if !q.waiting.CompareAndSwap(false, true) {
		if err = Lock(ctx, f); err != nil {
			f.Close()
		}
		return err
	}
	locked := make(chan error)
	go func() {
		err := waitLock(f)
		q.waiting.Store(false)
		select {
		case locked <- err:
		case <-ctx.Done():
			f.Close()
		}
	}()
	select {
	case err = <-locked:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err != nil {
		f.Close()
	}
	return lockError(f, err)
}
