//go:build unix

package spool

import (
	"io/fs"
	"syscall"
)

// identity is the device and inode of a file.
type identity struct{ device, inode uint64 }

func identityOf(info fs.FileInfo) identity {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return identity{uint64(stat.Dev), uint64(stat.Ino)}
	}
	return identity{}
}
