package filelock

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// staleAfter is the age from which a lock is considered to be of a dead process. Locks
// are held only while a file is read and renamed.
const staleAfter = 30 * time.Second

// lockFilePath returns the path of the file that exists while f is locked.
func lockFilePath(f *os.File) string { return f.Name() + ".held" }

// tryLockFile locks f on systems without locks, by creating a file. It removes a stale
// lock. If two processes find it stale at the same time, both may acquire the lock.
func tryLockFile(f *os.File) (bool, error) {
	path := lockFilePath(f)
	for range 2 {
		held, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			return true, held.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return false, err
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // released meanwhile
		}
		if err != nil || time.Since(info.ModTime()) < staleAfter {
			return false, err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}

func unlockFile(f *os.File) error { return os.Remove(lockFilePath(f)) }
