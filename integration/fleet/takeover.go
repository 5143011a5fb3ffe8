//go:build unix

package fleet

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// cause is why a worker lost an upload.
type cause string

const (
	killed     cause = "SIGKILL"
	stopped    cause = "SIGSTOP"
	terminated cause = "SIGTERM"
)

// takeover is the time from the loss of a worker to the first request of the next one.
type takeover struct {
	loss
	file string
	next string // the worker that took over
	span
}

// loss is an upload whose holder is lost.
type loss struct {
	worker string
	cause  cause
	at     time.Time
}

// holding describes who has the lease of a file.
type holding struct {
	holder  string
	leasing map[string]bool // workers that try to get it
	lost    *loss
}

// takeovers measures takeovers.
type takeovers struct {
	lease time.Duration

	mu      sync.Mutex
	files   map[string]*holding
	outages []span
	found   []takeover
}

type span struct{ from, to time.Time }

func newTakeovers(lease time.Duration) *takeovers {
	return &takeovers{lease: lease, files: map[string]*holding{}}
}

func (t *takeovers) of(file string) *holding {
	h := t.files[file]
	if h == nil {
		h = &holding{leasing: map[string]bool{}}
		t.files[file] = h
	}
	return h
}

// note records an event of a worker.
func (t *takeovers) note(worker string, e workerEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.File == "" {
		return
	}
	h := t.of(e.File)
	switch e.Kind {
	case eventLeasing:
		h.leasing[worker] = true
	case eventLeased:
		delete(h.leasing, worker)
		h.holder = worker
		if h.lost != nil && h.lost.worker == worker { // it ran again and was the first
			h.lost = nil
		}
	case eventUnleased:
		delete(h.leasing, worker)
		if h.holder == worker {
			h.holder = ""
		}
	case eventDone:
		h.holder, h.lost = "", nil
	}
}

// held returns the number of files that a worker holds.
func (t *takeovers) held(worker string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, h := range t.files {
		if h.holder == worker {
			n++
		}
	}
	return n
}

// lost records that a worker is lost. If it was acquiring the upload of another lost one, the
// takeover is measured from now on.
func (t *takeovers) lost(worker string, why cause, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.files {
		switch {
		case h.holder == worker:
			h.lost = &loss{worker, why, at}
			if why != stopped {
				h.holder = ""
			}
		case h.lost != nil && h.leasing[worker]:
			h.lost.at, h.lost.cause = at, why
		}
		if why != stopped {
			delete(h.leasing, worker)
		}
	}
}

// resumed records that a stopped worker runs again.
func (t *takeovers) resumed(worker string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for file, h := range t.files {
		if h.lost == nil || h.lost.worker != worker {
			continue
		}
		if at.Sub(h.lost.at) > t.lease+time.Second { // nobody took over in time
			t.add(file, h.lost, worker, at)
		}
		h.lost = nil
	}
}

// request records a request for a file.
func (t *takeovers) request(file, worker string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.of(file)
	if h.lost == nil || h.lost.worker == worker || at.Before(h.lost.at) {
		return
	}
	t.add(file, h.lost, worker, at)
	h.lost = nil
}

// add requires t.mu.
func (t *takeovers) add(file string, l *loss, next string, at time.Time) {
	t.found = append(t.found, takeover{loss: *l, file: file, next: next, span: span{l.at, at}})
}

// outage records that the engine was away.
func (t *takeovers) outage(from, to time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outages = append(t.outages, span{from, to})
}

// times returns how long the takeovers after some causes took, in ascending order: those while
// the engine was always there, and the others.
func (t *takeovers) times(causes ...cause) (normal, outage []time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.found {
		overlaps := func(o span) bool { return o.from.Before(f.to) && f.from.Before(o.to) }
		switch took := f.to.Sub(f.from); {
		case !slices.Contains(causes, f.cause):
		case slices.ContainsFunc(t.outages, overlaps):
			outage = append(outage, took)
		default:
			normal = append(normal, took)
		}
	}
	slices.Sort(normal)
	slices.Sort(outage)
	return normal, outage
}

// slow describes the takeovers that took longer than a limit.
func (t *takeovers) slow(limit time.Duration) (all []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.found {
		if took := f.to.Sub(f.from); took > limit {
			all = append(all, fmt.Sprintf("%s: %s of %s at %s: %s after %v", f.file, f.cause, f.worker, clock(f.from), f.next, took))
		}
	}
	return all
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }
