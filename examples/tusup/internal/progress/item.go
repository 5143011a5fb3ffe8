package progress

import (
	"slices"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// Item is a file in flight. Its fields are guarded by the mutex of the Display.
type Item struct {
	display *Display
	name    string // for one line, without directories
	sent    int64  // bytes acknowledged or in flight
	size    int64  // -1 if unknown
	state   tus.State
	since   time.Time // of the last event: state, bytes, retry
	wait    wait
}

// Hooks returns hooks that report an upload to the item.
func (i *Item) Hooks() tus.Hooks {
	return tus.Hooks{
		OnProgress:    func(_ *tus.Uploader, p tus.Progress) { i.moved(p) },
		OnStateChange: func(_ *tus.Uploader, _, to tus.State, err error) { i.entered(to, err) },
		OnRetry: func(_ *tus.Uploader, r tus.Retry) {
			i.waits(wait{causeOf(r.Err), r.Attempt, time.Now().Add(r.Delay)})
		},
		OnHeld: func(_ *tus.Uploader, held *tus.HeldError) {
			if held.Wait > 0 { // else the upload ends or starts over
				i.waits(wait{cause: "waiting: another uploader holds this upload until " + held.Until.Local().Format(time.TimeOnly)})
			}
		},
	}
}

// End removes the file from the display.
func (i *Item) End() {
	d := i.display
	d.mu.Lock()
	defer d.mu.Unlock()
	d.active = slices.DeleteFunc(d.active, func(other *Item) bool { return other == i })
}

// moved records the progress of the file. A byte that is sent ends a wait.
func (i *Item) moved(p tus.Progress) {
	i.display.mu.Lock()
	defer i.display.mu.Unlock()
	sent := p.Acknowledged + p.InFlight
	if sent > i.sent {
		i.wait = wait{}
	}
	if sent != i.sent {
		i.since = time.Now()
	}
	i.sent, i.size = sent, p.Size
	if p.SizeUnknown {
		i.size = -1
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

func (i *Item) waits(w wait) {
	i.display.mu.Lock()
	defer i.display.mu.Unlock()
	i.wait, i.since = w, time.Now()
}
