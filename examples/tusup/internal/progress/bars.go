package progress

import (
	"io"
	"sync"
	"time"

	"github.com/vbauerster/cupwriter"
)

// bars shows a row per file in flight, and below them one for all files if there are
// several. It uses the writer of mpb directly: its container counts too few rows if there
// are more bars than rows, waits for the terminal to add a bar, and draws a removed one
// again.
type bars struct {
	terminal io.Writer
	frame    *cupwriter.Writer
	size     func() (columns, rows int)

	mu   sync.Mutex
	rows []string // of the last frame
}

func newBars(terminal io.Writer, size func() (columns, rows int)) *bars {
	b := &bars{terminal: terminal, frame: cupwriter.New(terminal, true), size: size}
	if size == nil {
		b.size = b.terminalSize
	}
	return b
}

func (b *bars) terminalSize() (columns, rows int) {
	columns, rows, err := b.frame.GetTermSize()
	if !b.frame.IsTerminal() || err != nil || columns <= 0 || rows <= 0 {
		return 80, 24
	}
	return columns, rows
}

// draw draws a frame. The last column stays empty, because some terminals wrap a full row,
// and so does the last row, for the cursor.
func (b *bars) draw(d *Display, now time.Time) {
	columns, height := b.size()
	rows := layout(d.rows(now), max(1, columns-1))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = rows[max(0, len(rows)-max(1, height-1)):]
	_ = b.replace(nil) // the next frame may succeed
}

// Write prints lines above the rows, also after close.
func (b *bars) Write(lines []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(lines), b.replace(lines)
}

// close removes the rows.
func (b *bars) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = nil
	_ = b.replace(nil)
}

// replace replaces the last frame by lines and the rows. It requires mu.
func (b *bars) replace(lines []byte) error {
	// A terminal prints ^C, and what is typed, at the cursor.
	if _, err := io.WriteString(b.terminal, "\r"); err != nil {
		return err
	}
	b.frame.Write(lines)
	for _, row := range b.rows {
		b.frame.WriteString(row + "\n")
	}
	return b.frame.Flush(len(b.rows))
}
