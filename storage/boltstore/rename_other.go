//go:build !windows

package boltstore

import (
	"io"
	"os"
)

// renameOpen renames a file that c holds open.
func renameOpen(_ io.Closer, from, to string) error { return os.Rename(from, to) }
