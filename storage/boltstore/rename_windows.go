package boltstore

import (
	"io"
	"os"
)

// renameOpen renames a file that c holds open. Here it has to be closed first;
// another process that has opened it in between makes the renaming fail.
func renameOpen(c io.Closer, from, to string) error {
	c.Close()
	return os.Rename(from, to)
}
