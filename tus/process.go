package tus

import (
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/seed-175555ba/tus-go/storage"
)

// thisProcess identifies this process among all those that can share a store:
// "v1", host, boot, namespaces, process ID and start time, separated by slashes.
// Where the system does not tell them, boot and namespaces are empty, and a random
// name stands for the start time.
func thisProcess() string {
	pid, namespace := os.Getpid(), processNamespace()
	start := processStart(pid)
	if namespace == "" || !validStart(start) {
		start = processName()
	}
	return processPlace(namespace) + "/" + strconv.Itoa(pid) + "/" + start
}

// processName is a random name of this process, which no start time looks like.
var processName = sync.OnceValue(func() string { return "x" + storage.NewID() })

// processPlace is where a process ID has its meaning.
func processPlace(namespace string) string {
	host, _ := os.Hostname()
	if namespace == "" {
		namespace = "/"
	}
	return "v1/" + strings.ReplaceAll(host, "/", "_") + "/" + namespace
}

// liveness is what can be told of a process.
type liveness int

const (
	livenessUnknown liveness = iota // such as on another machine, or in another container
	livenessAlive
	livenessDead
)

// processDied reports whether the process is known to be gone.
func processDied(process string) bool { return livenessOf(process) == livenessDead }

// processLives reports whether the process is known to live.
func processLives(process string) bool { return livenessOf(process) == livenessAlive }

// livenessOf judges by process ID only if boot, namespaces and start time are known
// of both processes: the ID alone may be that of another process, here or there.
func livenessOf(process string) liveness {
	place, pid, start := splitProcess(process)
	if start == processName() || process == thisProcess() {
		return livenessAlive
	}
	namespace := processNamespace()
	if namespace == "" || pid <= 0 || !validStart(start) || place != processPlace(namespace) {
		return livenessUnknown
	}
	if !processExists(pid) {
		return livenessDead
	}
	switch processStart(pid) {
	case start:
		return livenessAlive
	case "": // it is hidden, or ended just now
		return livenessUnknown
	}
	return livenessDead // a zombie, or the ID was given out again
}

// validStart tells a start time from a random name and from none.
func validStart(start string) bool {
	_, err := strconv.ParseUint(start, 10, 64)
	return err == nil
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
