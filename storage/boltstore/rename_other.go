//go:build !windows

package boltstore

import "os"

// renameOpen renames a file that is open.
func renameOpen(_ *os.File, from, to string) error { return os.Rename(from, to) }
