//go:build unix

package disk

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// SyncDir makes created, renamed and removed names in a directory survive a power
// failure, if the file system supports it. Syncing a file does not include its name.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// owner reports whether a file belongs to the user of this process, and whether that
// is known.
func owner(info fs.FileInfo) (owned, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid(), ok
}
