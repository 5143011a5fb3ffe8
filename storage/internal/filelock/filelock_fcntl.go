//go:build aix || android || solaris

package filelock

import (
	"io"
	"os"
	"syscall"
)

func tryLock(f *os.File) (bool, error) {
	err := fcntl(f, syscall.F_WRLCK)
	if err == syscall.EAGAIN || err == syscall.EACCES {
		return false, nil
	}
	return err == nil, err
}

// Unlock releases the lock of f.
func Unlock(f *os.File) error { return fcntl(f, syscall.F_UNLCK) }

func fcntl(f *os.File, kind int16) error {
	return syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: kind, Whence: io.SeekStart})
}
