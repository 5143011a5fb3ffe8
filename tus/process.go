package tus

import (
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/seed-175555ba/tus-go/storage"
)

// process identifies a process among all those that can share a store.
type process struct {
	place  string // host, boot and namespaces in which pid is valid; empty if one is unknown
	booted int64  // time of the boot by the clock of the system, in milliseconds since 1970
	pid    int
	start  string // start time, or a random name if place is unknown
}

// thisProcess returns the identity of this process as it is stored in a lease.
func thisProcess() string {
	p := process{pid: os.Getpid(), place: processPlace(), booted: bootTime()}
	p.start = processStart(p.pid)
	if p.place == "" || !validStart(p.start) {
		p.start = processName()
	}
	return p.String()
}

// processName returns a random name of this process, which differs from every start time.
var processName = sync.OnceValue(func() string { return "x" + storage.NewID() })

const processVersion = "v2/"

// String returns the fields separated by slashes. Only place may contain slashes.
func (p process) String() string {
	return processVersion + p.place + "/" + strconv.FormatInt(p.booted, 10) + "/" + strconv.Itoa(p.pid) + "/" + p.start
}

// parseProcess is the reverse of String. It returns false for the format of another version.
func parseProcess(s string) (p process, ok bool) {
	s, ok = strings.CutPrefix(s, processVersion)
	fields := strings.Split(s, "/")
	n := len(fields) - 3
	if !ok || n < 0 {
		return process{}, false
	}
	booted, badTime := strconv.ParseInt(fields[n], 10, 64)
	pid, badID := strconv.Atoi(fields[n+1])
	if badTime != nil || badID != nil {
		return process{}, false
	}
	return process{place: strings.Join(fields[:n], "/"), booted: booted, pid: pid, start: fields[n+2]}, true
}

// liveness says whether a process runs.
type liveness int

const (
	livenessUnknown liveness = iota // such as on another machine or in another container
	livenessAlive
	livenessDead
)

// maxBootDifference is the maximum difference between two readings of the boot time of one
// system in milliseconds, unless its clock is set.
const maxBootDifference = 100

// livenessOf finds a process of this host, boot and namespaces by its ID and start time.
// Machines that were restored from one snapshot have all of these in common, but differ in
// the boot time, which is the clock minus the uptime. If that differs, a process that is not
// found here may run on another machine.
func livenessOf(stored string) liveness {
	p, ok := parseProcess(stored)
	if ok && p.start == processName() {
		return livenessAlive
	}
	if !ok || p.pid <= 0 || !validStart(p.start) || p.place == "" || p.place != processPlace() {
		return livenessUnknown
	}
	if processExists(p.pid) {
		switch processStart(p.pid) {
		case p.start:
			return livenessAlive
		case "": // it is hidden, or has just ended
			return livenessUnknown
		}
		// It is a zombie, or another process with the ID.
	}
	booted := bootTime()
	if difference := booted - p.booted; booted == 0 || difference < -maxBootDifference || difference > maxBootDifference {
		return livenessUnknown
	}
	return livenessDead
}

// validStart reports whether start is a start time, not a random name.
func validStart(start string) bool {
	_, err := strconv.ParseUint(start, 10, 64)
	return err == nil
}
