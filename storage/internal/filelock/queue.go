package filelock

import (
	"cmp"
	"context"
	"os"
)

// A Queue locks files for a process that locks often, and briefly, like its competitors.
// It waits in the system: unlike the function Lock, which tries again and again, it gets
// the lock within microseconds, and a process that locks often does not starve others. But
// a call that returns the error of its ctx may leave a thread until the lock is released.
type Queue struct {
	waiting chan struct{} // semaphore for the system call that waits
}

// NewQueue returns a new Queue.
func NewQueue() *Queue { return &Queue{waiting: make(chan struct{}, 1)} }

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
	select {
	case q.waiting <- struct{}{}:
	case <-ctx.Done():
		f.Close()
		return ctx.Err()
	}
	locked := make(chan error)
	go func() {
		defer func() { <-q.waiting }()
		select {
		case locked <- waitLock(f):
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
