package netfault

import "bytes"

// Action is the effect of a fault on its connection.
type Action int

const (
	// Pass does nothing, for a fault that only calls Then.
	Pass Action = iota
	// Close ends the connection on both sides.
	Close
	// Reset ends the connection on both sides with a TCP reset.
	Reset
	// Stall stops both directions and keeps the connection open, like a pulled
	// cable.
	Stall
	// Swallow discards further bytes of this direction.
	Swallow
	// Truncate ends this direction for the receiver, which may still respond, and
	// discards further bytes.
	Truncate
)

// Fault is an action at a position in the stream of one direction.
type Fault struct {
	// In is the direction in which bytes are counted.
	In Direction
	// Since lists texts that must pass, one after the other, before bytes are
	// counted. {"PATCH /", "\r\n\r\n"} is the start of the body of the first PATCH.
	// Empty means the start of the connection.
	Since []string
	// After is how many bytes pass before the action.
	After int64
	// Do is the action.
	Do Action
	// Then, if non-nil, is called after the action. This direction is blocked until
	// it returns.
	Then func()
}

// trigger watches a stream for the position of a fault.
type trigger struct {
	fault Fault
	marks []string // not seen yet
	tail  []byte   // last bytes seen, which may be the start of a mark
	left  int64    // bytes that still pass after the last mark
	fired bool
}

func newTriggers(faults []Fault, d Direction) []*trigger {
	var triggers []*trigger
	for _, f := range faults {
		if f.In == d {
			triggers = append(triggers, &trigger{fault: f, marks: f.Since, left: f.After})
		}
	}
	return triggers
}

// due reports whether the position is reached.
func (t *trigger) due() bool { return !t.fired && len(t.marks) == 0 && t.left <= 0 }

// scan returns how many bytes of data pass before the fault, len(data) if its
// position is not reached. It does not change t.
func (t *trigger) scan(data []byte) int {
	at, _, _, _ := t.look(data)
	return at
}

// ends reports whether the fault comes right after data and ends both directions.
func (t *trigger) ends(data []byte) bool {
	_, marks, _, left := t.look(data)
	if t.fired || len(marks) > 0 || left > 0 {
		return false
	}
	return t.fault.Do == Close || t.fault.Do == Reset || t.fault.Do == Stall
}

// advance moves t past data.
func (t *trigger) advance(data []byte) { _, t.marks, t.tail, t.left = t.look(data) }

func (t *trigger) look(data []byte) (pass int, marks []string, tail []byte, left int64) {
	start := 0
	marks, tail, left = t.marks, t.tail, t.left
	if t.fired {
		return len(data), marks, tail, left
	}
	for len(marks) > 0 {
		joined := append(bytes.Clone(tail), data[start:]...)
		i := bytes.Index(joined, []byte(marks[0]))
		if i < 0 {
			keep := min(len(joined), len(marks[0])-1)
			return len(data), marks, joined[len(joined)-keep:], left
		}
		start += i + len(marks[0]) - len(tail)
		marks, tail = marks[1:], nil
	}
	rest := int64(len(data) - start)
	if left > rest {
		return len(data), marks, tail, left - rest
	}
	return start + int(left), marks, tail, 0
}
