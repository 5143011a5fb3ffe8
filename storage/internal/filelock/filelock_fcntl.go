//go:build aix || android || solaris

package filelock

import (
	"io"
	"os"
	"syscall"
)

func tryLock(f *os.File) (bool, error) {
	err := fcntl(f, syscall.F_SETLK, syscall.F_WRLCK)
	if err == syscall.EAGAIN || err == syscall.EACCES {
		return false, nil
	}
	return err == nil, err
}

// waitLock waits until it acquires the lock.
func waitLock(f *os.File) error {
	for {
		err := fcntl(f, syscall.F_SETLKW, syscall.F_WRLCK)
		if err != syscall.EINTR {
			return err
		}
	}
}

// Unlock releases the lock of f.
func Unlock(f *os.File) error { return fcntl(f, syscall.F_SETLK, syscall.F_UNLCK) }

func fcntl(f *os.File, cmd int, kind int16) error {
	return syscall.FcntlFlock(f.Fd(), cmd, &syscall.Flock_t{Type: kind, Whence: io.SeekStart})
}
