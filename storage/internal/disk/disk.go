// Package durable makes file names survive a power failure. Syncing a file makes its
// content durable, but its name is part of the directory.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// MkdirAll creates a directory and its parents like [os.MkdirAll], durably.
func MkdirAll(dir string, mode fs.FileMode) error {
	dir = filepath.Clean(dir)
	created := []string{}
	for at := dir; ; at = filepath.Dir(at) {
		_, err := os.Stat(at)
		if err == nil || at == filepath.Dir(at) {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		created = append(created, at)
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	for _, at := range created {
		if err := SyncDir(filepath.Dir(at)); err != nil {
			return err
		}
	}
	return nil
}
