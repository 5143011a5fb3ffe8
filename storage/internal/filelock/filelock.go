// Package filelock locks files against other processes, and against other parts
// of the same process that opened the file by themselves (not so on AIX, Android
// and Solaris, whose locks belong to the process).
//
// The lock is the system's own where there is one: it ends with the process,
// however that ends. It is the kind of lock that bbolt takes on its file.
// Elsewhere a file beside the locked one stands for the lock.
package filelock

import (
	"context"
	"os"
	"time"
)

// Lock is the right to lock one open file. It is not for concurrent use.
type Lock struct {
	f *os.File
}

// New returns the lock of f. Closing f gives it back, but on systems without
// locks, where only Unlock does.
func New(f *os.File) *Lock { return &Lock{f} }

// TryLock takes the lock without waiting. It reports false if somebody else has
// it.
func (l *Lock) TryLock() (bool, error) {
	ok, err := tryLock(l.f)
	if err != nil {
		return false, &os.PathError{Op: "lock", Path: l.f.Name(), Err: err}
	}
	return ok, nil
}

// Lock tries to take the lock until ctx ends, and then returns its error.
func (l *Lock) Lock(ctx context.Context) error {
	// The systems can wait too, but not for a limited time.
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

// Unlock gives the lock back.
func (l *Lock) Unlock() error {
	if err := unlock(l.f); err != nil {
		return &os.PathError{Op: "unlock", Path: l.f.Name(), Err: err}
	}
	return nil
}
