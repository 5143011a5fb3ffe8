// Package durable makes sure that files are still in their folder after the power
// was lost. Syncing a file keeps its content, but its name belongs to the folder.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// SyncDir makes the names in a folder durable: files created, renamed and removed
// in it. Where the system does not offer that, it does nothing.
func SyncDir(dir string) error { return syncDir(dir) }

// MkdirAll makes a folder and its parents like [os.MkdirAll], durably.
func MkdirAll(dir string, mode fs.FileMode) error {
	dir = filepath.Clean(dir)
	made := []string{}
	for at := dir; ; at = filepath.Dir(at) {
		_, err := os.Stat(at)
		if err == nil || at == filepath.Dir(at) {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		made = append(made, at)
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	for _, at := range made {
		if err := SyncDir(filepath.Dir(at)); err != nil {
			return err
		}
	}
	return nil
}
