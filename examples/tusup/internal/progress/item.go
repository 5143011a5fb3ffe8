package progress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
	"github.com/seed-175555ba/tus-go/tus"
)

const (
	// preparingAfter is how long an upload takes to prepare before that is shown.
	preparingAfter = time.Second
	// quietAfter is how long no data moves before that is shown.
	quietAfter = 3 * time.Second
)

// Item is a file that is shown. A nil *Item ignores all calls. The fields are guarded by
// the mutex of the Display.
type Item struct {
	display *Display
	name    string
	ended   bool
	updated bool
	counted bool  // in Display.moved
	sent    int64 // bytes acknowledged or in flight
	size    int64 // -1 if unknown

	state tus.State
	since time.Time // of the last event: state, bytes, retry
	wait  wait
}

// wait is why an upload waits; its zero value is that it does not.
type wait struct {
	cause string
	retry int       // number of the next retry, 0 if none follows
	until time.Time // when the retry starts
	since time.Time
}

// Hooks returns hooks that report an upload to the item.
func (i *Item) Hooks() tus.Hooks {
	if i == nil {
		return tus.Hooks{}
	}
	return tus.Hooks{
		OnProgress:    func(_ *tus.Uploader, p tus.Progress) { i.Update(p) },
		OnRetry:       func(_ *tus.Uploader, r tus.Retry) { i.retry(r) },
		OnHeld:        func(_ *tus.Uploader, held *tus.HeldError) { i.held(held) },
		OnStateChange: func(_ *tus.Uploader, _, to tus.State, err error) { i.entered(to, err) },
	}
}

// Update records the progress of the file.
func (i *Item) Update(now tus.Progress) {
	if i == nil {
		return
	}
	d := i.display
	d.mu.Lock()
	defer d.mu.Unlock()
	if i.ended {
		return
	}
	at := time.Now()
	if !i.updated {
		i.updated = true
		d.rate.add(at, d.moved)
	}
	sent := now.Acknowledged + now.InFlight
	if sent > i.sent {
		i.wait = wait{}
	}
	if sent != i.sent {
		i.since = at
	}
	if !i.counted && sent > 0 {
		// Bytes acknowledged before the first is sent are from earlier sessions.
		i.counted = true
		d.moved -= now.Acknowledged
	}
	size := now.Size
	if now.SizeUnknown {
		size = -1
	}
	d.moved += sent - i.sent
	d.set(i, sent, size)
	d.rate.add(at, d.moved)
}

// Waiting shows why the upload waits, until bytes are sent.
func (i *Item) Waiting(cause string) { i.waits(wait{cause: cause}) }

// End records the result of the upload. A failed file is removed from the totals; a paused
// one, whose err matches [context.Canceled], keeps its progress.
func (i *Item) End(size int64, err error) {
	if i == nil {
		return
	}
	d := i.display
	d.mu.Lock()
	defer d.mu.Unlock()
	if i.ended {
		return
	}
	i.ended = true
	i.wait = wait{}
	if errors.Is(err, context.Canceled) {
		return
	}
	d.active = slices.DeleteFunc(d.active, func(other *Item) bool { return other == i })
	if err != nil {
		d.failed++
		d.set(i, 0, 0)
		return
	}
	d.done++
	if i.counted {
		d.moved += size - i.sent
	}
	d.set(i, size, size)
	d.rate.add(time.Now(), d.moved)
}

func (i *Item) waits(w wait) {
	if i == nil {
		return
	}
	i.display.mu.Lock()
	defer i.display.mu.Unlock()
	if i.ended {
		return
	}
	i.since = time.Now()
	w.since = i.since
	if i.wait.cause != "" {
		w.since = i.wait.since
	}
	i.wait = w
}

func (i *Item) retry(r tus.Retry) {
	i.waits(wait{cause: Cause(r.Err), retry: r.Attempt, until: time.Now().Add(r.Delay)})
}

// held shows a wait for another uploader. Without a wait the upload ends or starts over.
func (i *Item) held(held *tus.HeldError) {
	if held.Wait > 0 {
		i.Waiting("waiting: another uploader holds this upload until " + held.Until.Local().Format(time.TimeOnly))
	}
}

// entered records a new state. err is nil after a successful request, which ends a wait.
func (i *Item) entered(state tus.State, err error) {
	i.display.mu.Lock()
	defer i.display.mu.Unlock()
	i.state, i.since = state, time.Now()
	if err == nil {
		i.wait = wait{}
	}
}

// reason returns why no bytes move, and the time that belongs to it, and false if nothing
// is to be shown.
func (i *Item) reason(now time.Time) (r reason, ok bool) {
	quiet := now.Sub(i.since)
	w := i.wait
	switch {
	case i.ended:
		return reason{}, false
	case w.retry > 0 && now.Before(w.until):
		// Rounded up, so that it never counts down to 0.
		left := (w.until.Sub(now) + time.Second - 1).Truncate(time.Second)
		return reason{w.cause, w.retry, " in ", left, now.Sub(w.since)}, true
	case w.retry > 0:
		return reason{w.cause, w.retry, " running for ", now.Sub(w.until), now.Sub(w.since)}, true
	case w.cause != "":
		return reason{cause: w.cause, age: now.Sub(w.since)}, true
	case i.state == tus.StateIdle:
		return reason{"preparing", 0, ", ", quiet, quiet}, !i.updated && quiet >= preparingAfter
	}
	text := "waiting for the server's response"
	switch i.state {
	case tus.StateReady, tus.StateSending:
		if i.size < 0 || i.sent < i.size {
			text = "no data moved"
		}
	case tus.StateLocating, tus.StateCreating, tus.StateRecovering, tus.StateConcatenating:
		if i.size < 0 {
			text = "no data moved" // the request may have data that standard input does not provide
		}
	default:
		return reason{}, false
	}
	return reason{text, 0, ", ", quiet, quiet}, quiet >= quietAfter
}

// reason is why no bytes move, such as "connection refused, retry 4 in 4 s".
type reason struct {
	cause string
	retry int
	label string // before time
	time  time.Duration
	age   time.Duration // for how long this or an earlier reason has lasted
}

// key returns the reason without the time, which changes every second.
func (r reason) key() string {
	if r.retry == 0 {
		return r.cause
	}
	return fmt.Sprintf("%s, retry %d", r.cause, r.retry)
}

func (r reason) String() string {
	if r.time < time.Second {
		return r.key()
	}
	return r.key() + r.label + text.Duration(r.time)
}

// short returns a text for narrow rows.
func (r reason) short() string {
	if r.time < time.Second {
		return r.cause
	}
	return r.cause + ", " + text.Duration(r.time)
}
