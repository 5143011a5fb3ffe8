// Package private removes the access of other users to the files and directories of a
// store. Records hold upload URLs, whose query may be a secret.
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
