package filelock

import (
	"os"
	"syscall"
	"unsafe"
)

const (
	lockfileFailImmediately = 1
	lockfileExclusiveLock   = 2
	errorLockViolation      = syscall.Errno(33)
)

var (
	kernel32     = syscall.NewLazyDLL("kernel32.dll")
	lockFileEx   = kernel32.NewProc("LockFileEx")
	unlockFileEx = kernel32.NewProc("UnlockFileEx")
)

// region is the locked byte: the last possible one, beyond the content, because locks
// on Windows prevent reading. bbolt locks the same byte.
func region() *syscall.Overlapped {
	return &syscall.Overlapped{Offset: 1<<32 - 1, OffsetHigh: 1<<32 - 1}
}

func tryLock(f *os.File) (bool, error) {
	err := lock(f, lockfileExclusiveLock|lockfileFailImmediately)
	if err == errorLockViolation || err == syscall.ERROR_IO_PENDING {
		return false, nil
	}
	return err == nil, err
}

// waitLock waits until it acquires the lock.
func waitLock(f *os.File) error { return lock(f, lockfileExclusiveLock) }

func lock(f *os.File, flags uintptr) error {
	ok, _, err := lockFileEx.Call(f.Fd(), flags, 0, 1, 0, uintptr(unsafe.Pointer(region())))
	if ok != 0 {
		return nil
	}
	return err
}

// Unlock releases the lock of f.
func Unlock(f *os.File) error {
	ok, _, err := unlockFileEx.Call(f.Fd(), 0, 1, 0, uintptr(unsafe.Pointer(region())))
	if ok != 0 {
		return nil
	}
	return err
}
