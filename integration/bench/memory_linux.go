package main

import (
	"bufio"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// memoryDir returns a directory in memory with room for the files of bench, "" if
// there is none.
func memoryDir() string {
	const (
		dir  = "/dev/shm"
		room = 6 * gib // a source, its copy on a server, and a reserve
	)
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil || fs.Type != unix.TMPFS_MAGIC {
		return ""
	}
	if int64(fs.Bavail)*int64(fs.Bsize) < room || availableMemory() < room {
		return ""
	}
	return dir
}

// availableMemory returns the memory available without swapping, in bytes; 0 if
// unknown.
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
