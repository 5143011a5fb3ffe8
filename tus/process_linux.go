package tus

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// bootID tells one run of the system from another, and one process ID
// namespace (container) from another.
func bootID() string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	namespace, _ := os.Readlink("/proc/self/ns/pid")
	return strings.TrimSpace(string(boot)) + "/" + namespace
}

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
		return "dead" // killed, but its parent has not taken note yet
	}
	return string(fields[start])
}
