// Package filelock locks files against other processes, and against other parts
// of the same process that opened the file by themselves.
//
// The lock is the system's own where there is one: it ends with the process,
// however that ends. Elsewhere a file beside the locked one stands for the lock.
package filelock

import "os"

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

// Unlock gives the lock back.
func (l *Lock) Unlock() error {
	if err := unlock(l.f); err != nil {
		return &os.PathError{Op: "unlock", Path: l.f.Name(), Err: err}
	}
	return nil
}
