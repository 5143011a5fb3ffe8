// Package filelock locks files against other processes, and against other open
// files of the same process. On AIX, Android and Solaris, locks belong to the process
// and do not exclude other open files of it.
//
// The lock is a lock of the system, of the kind that bbolt uses, if the system has
// one: it is released when the process ends. Otherwise a second file represents the
// lock.
package filelock

import (
	"context"
	"os"
	"time"
)

// Lock locks one open file. It is not safe for concurrent use.
type Lock struct {
	f *os.File
}

// New returns the lock of f. Closing f releases it, except on systems without locks,
// where only Unlock releases it.
func New(f *os.File) *Lock { return &Lock{f} }

// TryLock acquires the lock without waiting. It returns false if the file is locked.
func (l *Lock) TryLock() (bool, error) {
	ok, err := tryLock(l.f)
	if err != nil {
		return false, &os.PathError{Op: "lock", Path: l.f.Name(), Err: err}
	}
	return ok, nil
}

// Lock waits until it acquires the lock. If ctx is done first, it returns the error of
// ctx.
func (l *Lock) Lock(ctx context.Context) error {
	// System calls that wait for the lock cannot be canceled.
	const shortest, longest = time.Millisecond, 20 * time.Millisecond
	for wait := shortest; ; wait = min(2*wait, longest) {
		ok, err := l.TryLock()
		if ok || err != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// Unlock releases the lock.
func (l *Lock) Unlock() error {
	if err := unlock(l.f); err != nil {
		return &os.PathError{Op: "unlock", Path: l.f.Name(), Err: err}
	}
	return nil
}
