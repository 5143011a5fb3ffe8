// Package progress shows the progress of uploads: a row per file on a terminal, lines
// elsewhere.
package progress

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
	"github.com/seed-175555ba/tus-go/tus"
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

// interval is the time between two frames.
const interval = 200 * time.Millisecond

// Options configures a Display.
type Options struct {
	// Mode is how progress is shown. It must be set.
	Mode Mode
	// Output is the terminal or file that progress is shown on. It must be set.
	Output io.Writer
	// Size returns columns and rows of the terminal; nil means those of Output, or 80 by 24
	// if it has none.
	Size func() (columns, rows int)
	// Totals returns the progress of all files, such as that of a [tus.BatchCounter]. It
	// must be set.
	Totals func() tus.BatchProgress
}

// Display shows the progress of all uploads.
type Display struct {
	bars   *bars // nil in the modes Plain and None
	totals func() tus.BatchProgress
	stop   context.CancelFunc
	closed sync.WaitGroup

	// mu is not locked while the terminal is written to, which may be slow: no upload waits
	// for it.
	mu      sync.Mutex
	started bool
	active  []*Item // in the order of their start
}

// New starts a display.
func New(o Options) *Display {
	ctx, stop := context.WithCancel(context.Background())
	d := &Display{totals: o.Totals, stop: stop}
	mode := o.Mode
	if mode == Auto {
		mode = Plain
		if isTerminal(o.Output) && os.Getenv("TERM") != "dumb" {
			mode = Bar
		}
	}
	switch mode {
	case Bar:
		d.bars = newBars(o.Output, o.Size)
		d.closed.Go(func() { d.run(ctx, d.bars.draw) })
	case Plain:
		l := &lines{w: o.Output, printed: time.Now(), sent: -1}
		d.closed.Go(func() { d.run(ctx, l.draw) })
	}
	return d
}

// run draws at intervals, also if no bytes move: the rate falls then.
func (d *Display) run(ctx context.Context, draw func(*Display, time.Time)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			draw(d, now)
		}
	}
}

// Start shows a file until [Item.End]. Its size is -1 if it is unknown.
func (d *Display) Start(name string, size int64) *Item {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := &Item{display: d, name: text.Line(filepath.Base(name)), size: size, since: time.Now()}
	d.started = true
	d.active = append(d.active, i)
	return i
}

// Above returns a writer for whole lines to w. If w is the terminal of the display, they
// are printed above the rows of the files. It may be called for a nil *Display.
func (d *Display) Above(w io.Writer) io.Writer {
	if d == nil || d.bars == nil || w != d.bars.terminal && (!isTerminal(w) || !isTerminal(d.bars.terminal)) {
		return w
	}
	return d.bars
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Close removes the rows of the files.
func (d *Display) Close() {
	d.stop()
	d.closed.Wait()
	if d.bars != nil {
		d.bars.close()
	}
}
