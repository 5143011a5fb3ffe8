//go:build !unix && !windows

package filelock

import "os"

func tryLock(f *os.File) (bool, error) { return tryLockFile(f) }

func unlock(f *os.File) error { return unlockFile(f) }
