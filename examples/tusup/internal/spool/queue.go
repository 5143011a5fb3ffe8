package spool

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/link"
	"github.com/seed-175555ba/tus-go/tus"
)

// state is the state of a file.
type state uint8

const (
	settling state = iota // until due
	ready
	busy    // a worker has it
	waiting // failed, until due
	done    // uploaded and kept
)

// entry is a file of the spool with its state. A million of them take about 300 MB.
type entry struct {
	file  File
	state state
	index int       // in the heap of its state
	due   time.Time // of settling and waiting
	scan  uint64    // the last scan that saw the file

	failures  int         // of all kinds
	attempts  int         // failures that count
	successes uint64      // uploads of the spool before the last failure
	uploaded  *tus.Result // not disposed of yet
	retries   *backoff.ExponentialBackOff
}

// delay returns the wait before the next attempt.
func (e *entry) delay() time.Duration {
	e.failures++
	if e.retries == nil {
		e.retries = link.NewBackoff()
	}
	return e.retries.NextBackOff()
}

// queue has all files of the spool: the ready ones in order, and the settling and waiting
// ones by the time at which they are due.
type queue struct {
	order   Order
	entries map[string]*entry
	ready   entryHeap
	timed   entryHeap
	busy    map[*entry]struct{}
}

func newQueue(order Order) *queue {
	return &queue{
		order:   order,
		entries: map[string]*entry{},
		busy:    map[*entry]struct{}{},
		ready:   entryHeap{less: func(a, b *entry) bool { return order.compare(a, b) < 0 }},
		timed:   entryHeap{less: func(a, b *entry) bool { return a.due.Before(b.due) }},
	}
}

// compare returns a negative number if a is uploaded before b.
func (o Order) compare(a, b *entry) int {
	c := 0
	switch o {
	case SmallestFirst:
		c = cmp.Compare(a.file.Size, b.file.Size)
	case ByName:
	default:
		c = a.file.ModTime.Compare(b.file.ModTime)
	}
	return cmp.Or(c, strings.Compare(a.file.Name, b.file.Name))
}

// add adds a file that rests until due.
func (q *queue) add(f File, due time.Time) *entry {
	e := &entry{file: f, state: settling, due: due}
	q.entries[f.Name] = e
	heap.Push(&q.timed, e)
	return e
}

// set changes the state of an entry. due is of use for settling and waiting.
func (q *queue) set(e *entry, s state, due time.Time) {
	q.unlink(e)
	e.state, e.due = s, due
	switch s {
	case ready:
		heap.Push(&q.ready, e)
	case settling, waiting:
		heap.Push(&q.timed, e)
	case busy:
		q.busy[e] = struct{}{}
	}
}

// remove removes an entry.
func (q *queue) remove(e *entry) {
	q.unlink(e)
	delete(q.entries, e.file.Name)
}

func (q *queue) unlink(e *entry) {
	switch e.state {
	case ready:
		heap.Remove(&q.ready, e.index)
	case settling, waiting:
		heap.Remove(&q.timed, e.index)
	case busy:
		delete(q.busy, e)
	}
}

// nextDue returns the time at which an entry is due, and false if there is none.
func (q *queue) nextDue() (time.Time, bool) {
	if len(q.timed.entries) == 0 {
		return time.Time{}, false
	}
	return q.timed.entries[0].due, true
}

// due returns an entry that is due, nil if there is none.
func (q *queue) due(now time.Time) *entry {
	if at, ok := q.nextDue(); !ok || at.After(now) {
		return nil
	}
	return q.timed.entries[0]
}

// first returns the ready entry that is uploaded next, nil if there is none.
func (q *queue) first() *entry {
	if len(q.ready.entries) == 0 {
		return nil
	}
	return q.ready.entries[0]
}

// probe returns the ready entry that is uploaded next to find out whether the server works
// again: the first of those that failed least, as the failures may be about one file. It
// compares all of them, which is of use only if the first one failed.
func (q *queue) probe() *entry {
	return slices.MinFunc(q.ready.entries, func(a, b *entry) int {
		if c := cmp.Compare(a.failures, b.failures); c != 0 {
			return c
		}
		return q.order.compare(a, b)
	})
}

// status counts the entries that are not done, of which a spool that keeps its files may have
// many.
func (q *queue) status() Status {
	s := Status{InFlight: len(q.busy), Waiting: len(q.ready.entries)}
	oldest := func(e *entry) {
		if e.uploaded == nil && (s.Oldest.IsZero() || e.file.ModTime.Before(s.Oldest)) {
			s.Oldest = e.file.ModTime
		}
	}
	for e := range q.busy {
		oldest(e)
	}
	for _, e := range q.ready.entries {
		oldest(e)
	}
	for _, e := range q.timed.entries {
		oldest(e)
		if e.state == settling {
			s.Settling++
		} else {
			s.Waiting++
		}
	}
	return s
}

// entryHeap is a heap of entries that know their index.
type entryHeap struct {
	entries []*entry
	less    func(a, b *entry) bool
}

func (h *entryHeap) Len() int           { return len(h.entries) }
func (h *entryHeap) Less(i, j int) bool { return h.less(h.entries[i], h.entries[j]) }

func (h *entryHeap) Swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.entries[i].index, h.entries[j].index = i, j
}

// Push implements heap.Interface.
func (h *entryHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(h.entries)
	h.entries = append(h.entries, e)
}

// Pop implements heap.Interface.
func (h *entryHeap) Pop() any {
	last := len(h.entries) - 1
	e := h.entries[last]
	h.entries[last] = nil
	h.entries = h.entries[:last]
	return e
}
