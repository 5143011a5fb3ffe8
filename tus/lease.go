package tus

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

const (
	// leaseTime is how long a record belongs to an Uploader that does not renew
	// it. It bounds the wait after a crash only where the death of the holder
	// cannot be seen, such as on another machine.
	leaseTime = time.Minute
	// leaseRenewal is the time between renewals: two may fail before the lease
	// ends.
	leaseRenewal = leaseTime / 3
)

// leaseRuns reports whether somebody may be at work on a record. A lease of a
// process that is seen to be dead ends at once, so that a program which was
// killed can be started again without a wait.
func leaseRuns(l *storage.Lease, now time.Time) bool {
	if l == nil || !now.Before(l.Until) {
		return false
	}
	// A clock that was set back would make the lease endless.
	if l.Until.Sub(now) > 2*leaseTime {
		return false
	}
	return !processDied(l.Process)
}

// thisProcess identifies this process among all those that can share a store:
// "v1", then host, boot and process ID namespace where the system tells them,
// process ID and its start time, separated by slashes.
func thisProcess() string {
	pid := os.Getpid()
	return processPlace() + "/" + strconv.Itoa(pid) + "/" + processStart(pid)
}

// processPlace is where a process ID has its meaning.
func processPlace() string {
	host, _ := os.Hostname()
	return "v1/" + strings.ReplaceAll(host, "/", "_") + "/" + bootID()
}

// processDied reports whether the process is known to be gone. Where that
// cannot be told, because it ran on another machine or in another container,
// it counts as alive.
func processDied(process string) bool {
	place, pid, start := splitProcess(process)
	if pid <= 0 || place != processPlace() {
		return false
	}
	if !processExists(pid) {
		return true
	}
	now := processStart(pid)
	return start != "" && now != "" && start != now // its number was given out again
}

func splitProcess(process string) (place string, pid int, start string) {
	rest, start, ok := cutLast(process)
	if !ok {
		return "", 0, ""
	}
	place, number, ok := cutLast(rest)
	if !ok {
		return "", 0, ""
	}
	pid, err := strconv.Atoi(number)
	if err != nil {
		return "", 0, ""
	}
	return place, pid, start
}

// cutLast cuts at the last slash.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
