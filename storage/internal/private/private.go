// Package private keeps files and directories of a store from other users. Records
// hold upload URLs, whose query may be a secret.
package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// The permissions of other users.
const (
	Access fs.FileMode = 0o077
	Write  fs.FileMode = 0o022
)

// Check returns a warning if other users have one of the permissions for an open file
// or directory, and an error if it belongs to another user besides. Where the system
// has no such permissions, it does nothing.
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
		return nil, fmt.Errorf("it belongs to another user and has mode %#o: use one of your own", mode)
	}
	return fmt.Errorf("other users have access: its mode is %#o", mode), nil
}

// Tighten takes all permissions of other users from an open file or directory. It
// returns a warning and an error as Check does. The warning says if the permissions
// could not be changed, as on a file system without any.
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
	return fmt.Errorf("other users had access: its mode was %#o and is %#o now", was, was&^Access), nil
}
