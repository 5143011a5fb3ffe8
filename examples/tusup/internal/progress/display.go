// Package progress shows the progress of uploads: a row per file on a terminal, lines
// elsewhere.
package progress

import (
	"cmp"
	"io"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/term"
)

// Mode is how progress is shown.
type Mode string

// The modes.
const (
	Auto  Mode = "auto"  // Bar on a terminal, else Plain
	Bar   Mode = "bar"   // a row per file in flight
	None  Mode = "none"  // nothing
	Plain Mode = "plain" // a line per interval
)

// Options configures a Display.
type Options struct {
	// Mode is how progress is shown; empty means Auto.
	Mode Mode
	// Output is the terminal or file that progress is shown on. It must be set.
	Output io.Writer
	// Size returns columns and rows of the terminal; nil means those of Output, or 80 by 24
	// if it has none.
	Size func() (columns, rows int)
}

// Display shows the progress of all uploads. A nil *Display shows nothing.
type Display struct {
	out     io.Writer
	screen  screen
	end     sync.Once
	closing chan struct{}
	closed  sync.WaitGroup

	// drawing is separate from mu, so that no upload waits for a slow terminal.
	drawing sync.Mutex

	mu      sync.Mutex
	active  []*Item // in the order of their start
	pending int     // files that are expected and not started
	files   int
	done    int
	failed  int
	sent    int64 // by all files
	size    int64 // of the files of known size
	unsized int   // number of files of unknown size
	moved   int64 // bytes sent by this session, without lost bytes
	rate    movingRate
}

// screen draws snapshots.
type screen interface {
	// show draws the progress of d. It is called every interval, also if nothing changed.
	show(now time.Time, d *Display)
	interval() time.Duration
	// above prints lines to w, above what is drawn, also after close.
	above(w io.Writer, lines []byte) (int, error)
	// close removes what is drawn.
	close()
}

// New starts a display, and returns nil if o.Mode is None.
func New(o Options) *Display {
	mode := cmp.Or(o.Mode, Auto)
	if mode == Auto {
		mode = Plain
		if isTerminal(o.Output) && os.Getenv("TERM") != "dumb" {
			mode = Bar
		}
	}
	d := &Display{out: o.Output, closing: make(chan struct{})}
	switch mode {
	case None:
		return nil
	case Bar:
		d.screen = newBars(o.Output, o.Size)
	default:
		d.screen = &lines{w: o.Output}
	}
	d.closed.Go(d.run)
	return d
}

// run draws at intervals, also if no bytes move: the rate falls then.
func (d *Display) run() {
	tick := time.NewTicker(d.screen.interval())
	defer tick.Stop()
	for {
		select {
		case <-d.closing:
			return
		case <-tick.C:
		}
		d.drawing.Lock()
		d.screen.show(time.Now(), d)
		d.drawing.Unlock()
	}
}

// Expect adds files to the totals that Start is called for later. A negative number of
// bytes stands for a file of unknown size.
func (d *Display) Expect(files int, bytes int64) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending += files
	d.add(files, bytes)
}

// add requires mu.
func (d *Display) add(files int, bytes int64) {
	d.files += files
	if bytes < 0 {
		d.unsized++
	} else {
		d.size += min(bytes, math.MaxInt64-d.size)
	}
}

// Start shows a file. Its size, -1 if it is unknown, is the one that was passed to Expect;
// a file that was not expected is added to the totals.
func (d *Display) Start(name string, size int64) *Item {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pending > 0 {
		d.pending--
	} else {
		d.add(1, size)
	}
	i := &Item{display: d, name: name, size: size, since: time.Now()}
	d.active = append(d.active, i)
	return i
}

// set updates a file and the totals. It requires mu.
func (d *Display) set(i *Item, sent, size int64) {
	d.sent += sent - i.sent
	d.size += max(0, size) - max(0, i.size)
	if i.size < 0 {
		d.unsized--
	}
	if size < 0 {
		d.unsized++
	}
	i.sent, i.size = sent, size
}

// hasStarted reports whether an upload has started.
func (d *Display) hasStarted() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.active)+d.done+d.failed > 0
}

// isWaiting reports whether a file has waited for at least a time.
func (d *Display) isWaiting(now time.Time, least time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.active, func(i *Item) bool {
		r, ok := i.reason(now)
		return ok && r.age >= least
	})
}

// snapshot returns the current progress.
func (d *Display) snapshot(now time.Time) snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := snapshot{files: d.files, done: d.done, failed: d.failed, sent: d.sent, size: d.size}
	if d.unsized > 0 {
		s.size = -1
	}
	s.rate, s.measured = d.rate.perSecond(now)
	s.active = slices.Grow(s.active, len(d.active))
	for _, i := range d.active {
		f := fileProgress{item: i, name: i.name, sent: i.sent, size: i.size}
		f.reason, f.waits = i.reason(now)
		s.active = append(s.active, f)
	}
	return s
}

// Above returns a writer for whole lines to w. If w is the terminal of the display, they
// are printed above the rows of the files.
func (d *Display) Above(w io.Writer) io.Writer {
	if d == nil || w != d.out && (!isTerminal(w) || !isTerminal(d.out)) {
		return w
	}
	return lineWriter{d, w}
}

type lineWriter struct {
	display *Display
	w       io.Writer
}

func (l lineWriter) Write(lines []byte) (int, error) {
	l.display.drawing.Lock()
	defer l.display.drawing.Unlock()
	return l.display.screen.above(l.w, lines)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Close removes the rows of the files.
func (d *Display) Close() {
	if d == nil {
		return
	}
	d.end.Do(func() {
		close(d.closing)
		d.closed.Wait()
		d.drawing.Lock()
		defer d.drawing.Unlock()
		d.screen.close()
	})
}
