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
	place  string // host, boot and namespaces, in which pid has its meaning; empty if one is unknown
	booted int64  // when the system booted, by its clock, in milliseconds since 1970
	pid    int
	start  string // start time, or a random name where place is unknown
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

// processName is a random name of this process, which no start time looks like.
var processName = sync.OnceValue(func() string { return "x" + storage.NewID() })

const processVersion = "v2/"

// String returns the fields separated by slashes. The last three hold none.
func (p process) String() string {
	return processVersion + p.place + "/" + strconv.FormatInt(p.booted, 10) + "/" + strconv.Itoa(p.pid) + "/" + p.start
}

// parseProcess is the reverse of String. It is false for what another version wrote.
func parseProcess(s string) (p process, ok bool) {
	s, ok = strings.CutPrefix(s, processVersion)
	fields := strings.Split(s, "/")
	n := len(fields) - 3
	if !ok || n < 0 {
		return process{}, false
	}
	booted, err := strconv.ParseInt(fields[n], 10, 64)
	if err != nil {
		return process{}, false
	}
	pid, err := strconv.Atoi(fields[n+1])
	if err != nil {
		return process{}, false
	}
	return process{place: strings.Join(fields[:n], "/"), booted: booted, pid: pid, start: fields[n+2]}, true
}

// liveness is what is known of a process.
type liveness int

const (
	livenessUnknown liveness = iota // on another machine or in another container, for example
	livenessAlive
	livenessDead
)

// processDied reports whether the process is known to be gone.
func processDied(process string) bool { return livenessOf(process) == livenessDead }

// processLives reports whether the process is known to live.
func processLives(process string) bool { return livenessOf(process) == livenessAlive }

// maxBootDifference is how far two readings of the boot time of one system differ, in
// milliseconds, if its clock is not set.
const maxBootDifference = 100

// livenessOf judges a process of this host, boot and namespaces by its ID and start time.
// Machines that were restored from one snapshot have all of these in common. They differ
// in the boot time, which is that of the clock less the time that the system ran: it says
// when they were restored. Where that differs, a process that is not here may run there.
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
		case "": // it is hidden, or ended just now
			return livenessUnknown
		}
		// A zombie, or another process with the ID.
	}
	booted := bootTime()
	if difference := booted - p.booted; booted == 0 || difference < -maxBootDifference || difference > maxBootDifference {
		return livenessUnknown
	}
	return livenessDead
}

// validStart tells a start time from a random name and from none.
func validStart(start string) bool {
	_, err := strconv.ParseUint(start, 10, 64)
	return err == nil
}
