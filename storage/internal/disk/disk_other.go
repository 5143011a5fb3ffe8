//go:build !unix

package disk

import "io/fs"

// SyncDir does nothing on this system.
func SyncDir(string) error { return nil }

func owner(fs.FileInfo) (owned, known bool) { return false, false }
