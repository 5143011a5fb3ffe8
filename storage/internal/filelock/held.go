package filelock

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// staleAfter is when a lock counts as left behind by a process that died. Locks
// are held for as long as a file takes to be read and renamed.
const staleAfter = 30 * time.Second

// heldPath is the file that exists while f is locked.
func heldPath(f *os.File) string { return f.Name() + ".held" }

// tryHold is the lock of systems that have none: of all who try to create a file,
// one succeeds. A stale one is removed; should two processes find it stale in the
// same instant, both may get the lock, which real locks do not let happen.
func tryHold(f *os.File) (bool, error) {
	path := heldPath(f)
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
			continue // just given back
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

func letGo(f *os.File) error { return os.Remove(heldPath(f)) }
