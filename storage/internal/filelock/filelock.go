// Package filelock locks files against other processes, and against other open
// files of the same process. On AIX, Android and Solaris, locks belong to the process
// and do not exclude other open files of it.
//
// The lock is of the kind that bbolt uses. The system releases it when the process
// ends. On systems without such locks, Lock fails.
package filelock

import (
	"context"
	"os"
	"time"
)

// Lock waits until it acquires the lock of f. If ctx is done first, Lock returns the
// error of ctx. Closing f releases the lock.
func Lock(ctx context.Context, f *os.File) error {
	// System calls that wait for the lock cannot be canceled.
	const shortest, longest = time.Millisecond, 20 * time.Millisecond
	for wait := shortest; ; wait = min(2*wait, longest) {
		ok, err := tryLock(f)
		if err != nil {
			return lockError(f, err)
		}
		if ok {
			return nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lockError returns an error with the path for an error of the system.
func lockError(f *os.File, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
}
