//go:build linux || dragonfly || openbsd || solaris

package digest

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime returns the time of the last inode change (ctime), which programs cannot
// set, or zero if it is unknown.
func changeTime(info fs.FileInfo) time.Time {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}
	}
	return time.Unix(stat.Ctim.Unix())
}
