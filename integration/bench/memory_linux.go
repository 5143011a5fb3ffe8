package main

import (
	"bufio"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// memoryFolder is where files lie in memory, if there is room for those of a
// bench; else it is empty.
func memoryFolder() string {
	const (
		folder = "/dev/shm"
		room   = 6 * gib // a source, what a server has stored of it, and some to spare
	)
	var fs unix.Statfs_t
	if unix.Statfs(folder, &fs) != nil || fs.Type != unix.TMPFS_MAGIC {
		return ""
	}
	if int64(fs.Bavail)*int64(fs.Bsize) < room || availableMemory() < room {
		return ""
	}
	return folder
}

// availableMemory is what programs can have without others being paged out, in
// bytes; 0 if that is not known.
func availableMemory() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var n int64
		if _, err := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &n); err == nil {
			return n * kib
		}
	}
	return 0
}
