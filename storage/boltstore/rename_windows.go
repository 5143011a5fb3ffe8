package boltstore

import (
	"io"
	"os"
)

// renameOpen renames a file that c holds open. Windows requires closing it first. The
// rename fails if another process opens the file in between.
func renameOpen(c io.Closer, from, to string) error {
	c.Close()
	return os.Rename(from, to)
}
