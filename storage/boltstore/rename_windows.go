package boltstore

import "os"

// renameOpen renames a file that is open. Here it has to be closed first; another
// process that has opened it in between makes the renaming fail.
func renameOpen(f *os.File, from, to string) error {
	f.Close()
	return os.Rename(from, to)
}
