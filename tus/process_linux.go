package tus

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// processNamespace names what gives a process ID and its start time their
// meaning: this boot of the system, and the namespaces of process IDs and of time
// (containers). It is empty if /proc does not tell all of it, or is that of another
// namespace.
func processNamespace() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(bytes.TrimSpace(boot)) == 0 {
		return ""
	}
	pids, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	if self, err := os.Readlink("/proc/self"); err != nil || self != strconv.Itoa(os.Getpid()) {
		return ""
	}
	clock, err := os.Readlink("/proc/self/ns/time")
	if err != nil && !errors.Is(err, os.ErrNotExist) { // kernels before 5.6 have none
		return ""
	}
	return strings.TrimSpace(string(boot)) + "/" + pids + clock
}

// processExists reports whether pid is a process, perhaps of another user.
func processExists(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// deadStart is the start time of a process that was killed, and whose parent has
// not waited for it yet.
const deadStart = "dead"

// processStart is the start time of a process in clock ticks since boot, field
// 22 of /proc/PID/stat; empty if it cannot be read.
func processStart(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The second field is the name in parentheses, which may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const start = 22 - 3 // the first field here is the third
	if len(fields) <= start {
		return ""
	}
	if state := string(fields[0]); state == "Z" || state == "X" {
		return deadStart
	}
	return string(fields[start])
}
