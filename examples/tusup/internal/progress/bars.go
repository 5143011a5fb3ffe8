package progress

import (
	"io"
	"math"
	"os"
	"sync/atomic"
	"time"

	"github.com/vbauerster/cupwriter"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// barInterval is the time between two frames.
const barInterval = 200 * time.Millisecond

// bars shows a row per file in flight, and below them one for all files if there are
// several. Only the goroutine of the Display adds and removes rows: a hook would wait for
// the terminal.
type bars struct {
	progress *mpb.Progress
	refresh  chan any
	over     chan any // closed when the library stops
	rows     map[*Item]*row
	total    *row
	number   int
}

// row is a row of the library, with what it shows.
type row struct {
	bar     *mpb.Bar
	content atomic.Pointer[content]
}

func newBars(out io.Writer, size func() (int, int)) *bars {
	b := &bars{refresh: make(chan any), over: make(chan any), rows: map[*Item]*row{}}
	b.progress = mpb.New(
		mpb.WithConsoleWriter(newConsole(out, size)),
		mpb.WithManualRefresh(b.refresh),
		mpb.WithShutdownNotifier(b.over),
	)
	return b
}

func (b *bars) interval() time.Duration { return barInterval }

// show updates the rows and draws them.
func (b *bars) show(now time.Time, d *Display) {
	if !d.hasStarted() {
		return
	}
	s := d.snapshot(now)
	kept := make(map[*Item]*row, len(s.active))
	for _, f := range s.active {
		r := b.rows[f.item]
		if r == nil {
			b.number++
			r = b.add(b.number)
		}
		delete(b.rows, f.item)
		kept[f.item] = r
		r.set(s.fileContent(f), f.sent, f.size)
	}
	if s.files > 1 {
		if b.total == nil {
			b.total = b.add(math.MaxInt)
		}
		b.total.set(s.totalContent(), 0, 0)
	}
	removed := len(b.rows) > 0
	for _, r := range b.rows {
		r.remove()
	}
	b.rows = kept
	if removed {
		b.draw() // the library draws a removed row once more
	}
	b.draw()
}

// add returns a new row, below those with a lower priority.
func (b *bars) add(priority int) *row {
	r := &row{}
	bar := mpb.BarStyle().Lbound("[").Filler("=").Tip("").Padding(" ").Rbound("]").Build()
	// With a size of 0, only Abort ends the bar: a file is complete only when the server
	// acknowledges it.
	r.bar, _ = b.progress.Add(0, mpb.BarFillerFunc(func(w io.Writer, stat decor.Statistics) error {
		c := r.content.Load()
		if c == nil {
			return nil
		}
		return c.fill(w, stat, bar)
	}), mpb.BarPriority(priority), mpb.BarFillerTrim())
	return r
}

func (r *row) set(c content, sent, size int64) {
	r.content.Store(&c)
	if r.bar != nil && size > 0 {
		r.bar.SetTotal(size, false)
		r.bar.SetCurrent(sent)
	}
}

func (r *row) remove() {
	if r.bar != nil {
		r.bar.Abort(true)
	}
}

// draw draws a frame, unless the terminal failed.
func (b *bars) draw() {
	select {
	case b.refresh <- time.Now():
	case <-b.over:
	}
}

func (b *bars) above(w io.Writer, lines []byte) (int, error) {
	n, err := b.progress.Write(lines)
	if err != nil { // the library has stopped, because the terminal failed
		return w.Write(lines)
	}
	b.draw()
	return n, nil
}

func (b *bars) close() {
	for _, r := range b.rows {
		r.remove()
	}
	if b.total != nil {
		b.total.remove()
	}
	b.draw()
	b.draw()
	b.progress.Wait()
}

// console is the terminal of the library. It corrects the number of rows: that of
// [mpb.Progress] is wrong if there are more bars than rows.
type console struct {
	*cupwriter.Writer
	size func() (columns, rows int)
	rows int // of the current frame
}

func newConsole(out io.Writer, size func() (int, int)) *console {
	fd := -1
	if isTerminal(out) {
		fd = int(out.(*os.File).Fd())
	}
	c := &console{Writer: cupwriter.New(fromStart{out}, fd < 0), size: size}
	if fd >= 0 {
		c.SetTermFd(fd)
	}
	if size == nil {
		c.size = func() (int, int) {
			if width, height, err := term.GetSize(fd); err == nil && width > 0 && height > 0 {
				return width, height
			}
			return 80, 24
		}
	}
	return c
}

func (c *console) IsTerminal() bool { return true }

// GetTermSize returns the size of the area to draw in. The last column stays empty, because
// some terminals wrap a full row, and so does the last row, for the cursor.
func (c *console) GetTermSize() (width, height int, err error) {
	width, height = c.size()
	return max(1, width-1), max(1, height-1), nil
}

// ReadFrom adds a row.
func (c *console) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.Writer.ReadFrom(r)
	if n > 0 {
		c.rows++
	}
	return n, err
}

// Flush writes the rows.
func (c *console) Flush(int) error {
	rows := c.rows
	c.rows = 0
	return c.Writer.Flush(rows)
}

// fromStart writes each frame from the start of the row: a terminal prints ^C, and what is
// typed, at the cursor.
type fromStart struct{ w io.Writer }

func (f fromStart) Write(frame []byte) (int, error) {
	n, err := f.w.Write(append([]byte("\r"), frame...))
	return max(0, n-1), err
}
