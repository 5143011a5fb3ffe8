//go:build unix

package private

import (
	"io/fs"
	"os"
	"syscall"
)

// owner reports whether a file belongs to the user of this process, and whether
// that is known.
func owner(info fs.FileInfo) (owned, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid(), ok
}
