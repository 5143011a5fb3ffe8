// Package private keeps files and directories of a store from other users. Records
// hold upload URLs, whose query may be a secret.
package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// others are the permissions of group and world.
const others fs.FileMode = 0o077

// Tighten takes all permissions of other users from an open file or directory. It
// returns a warning if it had to, or could not where a file system has no
// permissions, and an error if the file belongs to another user. Where the system
// has no such permissions, it does nothing.
func Tighten(f *os.File) (warning, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	was := info.Mode().Perm()
	owned, known := owner(info)
	switch {
	case !known || was&others == 0:
		return nil, nil
	case !owned:
		return nil, fmt.Errorf("it belongs to another user and has mode %#o, want %#o: use one of your own", was, was&^others)
	}
	if err := f.Chmod(was &^ others); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if now := info.Mode().Perm(); now&others != 0 {
		return fmt.Errorf("other users may have access: its mode %#o cannot be changed", now), nil
	}
	return fmt.Errorf("other users had access: its mode was %#o and is %#o now", was, was&^others), nil
}
