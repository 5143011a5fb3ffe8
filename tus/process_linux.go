package tus

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// processPlace returns the scope in which a process ID and its start time are unique: the
// host, the boot of the system, and the namespaces of process IDs and of time (containers).
// It is empty if one of these is unknown, or /proc is that of another namespace.
func processPlace() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return ""
	}
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
	return strings.ReplaceAll(host, "/", "_") + "/" + strings.TrimSpace(string(boot)) + "/" + pids + clock
}

// bootTime returns the time of the clock when the system booted, in milliseconds since
// 1970; 0 if that is unknown.
func bootTime() int64 {
	uptime, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0
	}
	var seconds float64
	if _, err := fmt.Sscan(string(uptime), &seconds); err != nil {
		return 0
	}
	var now syscall.Timeval
	if err := syscall.Gettimeofday(&now); err != nil {
		return 0
	}
	return now.Nano()/1e6 - int64(seconds*1000)
}

// processExists reports whether pid is a process, which may be another user's.
func processExists(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// processStart returns the start time of a process in clock ticks since boot, field 22 of
// /proc/PID/stat; empty if it cannot be read, and "dead" for a zombie.
func processStart(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The second field is the name in parentheses, which may contain any byte.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const start = 22 - 3 // the first field here is the third
	if len(fields) <= start {
		return ""
	}
	if state := string(fields[0]); state == "Z" || state == "X" {
		return "dead"
	}
	return string(fields[start])
}
