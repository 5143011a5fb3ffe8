//go:build darwin || dragonfly || freebsd || (linux && !android) || netbsd || openbsd

package filelock

import (
	"os"
	"syscall"
)

func tryLock(f *os.File) (bool, error) {
	err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}

// waitLock waits until it acquires the lock.
func waitLock(f *os.File) error { return flock(f, syscall.LOCK_EX) }

// Unlock releases the lock of f.
func Unlock(f *os.File) error { return flock(f, syscall.LOCK_UN) }

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err != syscall.EINTR {
			return err
		}
	}
}
