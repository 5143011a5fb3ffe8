// Package disk makes the files and directories of stores durable and private. Records
// hold upload URLs, whose query may be a secret.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-175555ba/tus-go/storage"
)

// MkdirAll creates a directory and its parents like [os.MkdirAll], with mode 0700. They
// survive a power failure.
func MkdirAll(dir string) error {
	var created []string
	for at := filepath.Clean(dir); at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil {
			break
		}
		created = append(created, at)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, at := range created {
		if err := SyncDir(filepath.Dir(at)); err != nil {
			return err
		}
	}
	return nil
}

// The permissions of other users.
const (
	Access fs.FileMode = 0o077
	Write  fs.FileMode = 0o022
)

// Check returns a warning if other users have one of the permissions for an open file
// or directory, and an error if it also belongs to another user. It does nothing on
// systems without such permissions.
func Check(f *os.File, permissions fs.FileMode) (warning, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	mode := info.Mode().Perm()
	owned, known := owner(info)
	switch {
	case !known || mode&permissions == 0:
		return nil, nil
	case !owned:
		return nil, fmt.Errorf("belongs to another user and has mode %#o", mode)
	}
	return fmt.Errorf("other users have access: mode is %#o", mode), nil
}

// Tighten removes all permissions of other users from an open file or directory. It
// returns a warning and an error as Check does. If the file system does not support
// the change, the warning is that of Check.
func Tighten(f *os.File) (warning, err error) {
	warning, err = Check(f, Access)
	if warning == nil || err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	was := info.Mode().Perm()
	if err := f.Chmod(was &^ Access); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	if remaining, err := Check(f, Access); remaining != nil || err != nil {
		return remaining, err
	}
	return fmt.Errorf("other users had access: mode changed from %#o to %#o", was, was&^Access), nil
}

// ErrorAt returns an error that names the path once.
func ErrorAt(path string, err error) *storage.Error {
	var op *fs.PathError
	if errors.As(err, &op) && op.Path == path {
		err = fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return &storage.Error{Path: path, Err: err}
}
