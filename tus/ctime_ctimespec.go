//go:build darwin || freebsd || netbsd

package tus

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime is when the inode of a file was last changed (ctime), which no program
// can set; zero where it is not known.
func changeTime(info fs.FileInfo) time.Time {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}
	}
	return time.Unix(stat.Ctimespec.Unix())
}
