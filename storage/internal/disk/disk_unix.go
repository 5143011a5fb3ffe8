//go:build unix

package durable

import (
	"errors"
	"os"
	"syscall"
)

// SyncDir makes created, renamed and removed names in a directory durable, if the file
// system supports it.
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
