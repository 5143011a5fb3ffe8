package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	barInterval = 200 * time.Millisecond

	// margin is the number of free columns at the end of the row, for the cursor and for
	// the ^C that a terminal prints at the cursor. A longer line would wrap, and could not
	// be erased.
	margin = 3
	// barFrame is the width of what the library prints in addition to description, bar and
	// theme: the percentage, the ends of the bar, and spaces.
	barFrame = len("  18% |") + len("|  ")
	// spinnerFrame is the same for a spinner.
	spinnerFrame = len("|  ") + len("  ")

	// minBar and minName are the smallest useful widths of bar and name.
	minBar  = 4
	minName = 8

	barSteps = 200 // two for each percent

	// ansi reports that the terminal supports the code that erases the rest of a row.
	ansi = runtime.GOOS != "windows"
)

// bar shows progress in one row of a terminal: a head, a bar and figures.
type bar struct {
	w       io.Writer
	columns func() int // current width of the terminal
	bar     *progressbar.ProgressBar
	spins   bool // the size is unknown
	drawn   bool
}

// newBar returns a bar, or a spinner if the size of a file is unknown.
//
// The library draws it, but not its own figures: its rate includes bytes of earlier
// sessions, and its line may be longer than the row.
func newBar(w io.Writer, columns func() int, files []file) *bar {
	b := &bar{w: w, columns: columns}
	steps := int64(barSteps)
	for _, f := range files {
		if f.size < 0 {
			b.spins, steps = true, -1
		}
	}
	b.bar = progressbar.NewOptions64(steps,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetSpinnerChangeInterval(0), // else the library starts a goroutine that draws and never ends
		progressbar.OptionUseANSICodes(ansi),
	)
	return b
}

// terminalColumns returns the width of a terminal, 80 if it is unknown.
func terminalColumns(fd int) int {
	if width, _, err := term.GetSize(fd); err == nil && width > 0 {
		return width
	}
	return 80
}

func (b *bar) interval() time.Duration { return barInterval }

// show draws the bar. The library supports only text before the bar, so the figures
// after it are part of the theme's end.
func (b *bar) show(s snapshot) {
	row := b.columns() - margin
	if b.spins {
		room := row - spinnerFrame
		head, figures := s.layout(room, 0)
		text := strings.TrimSpace(head + figures)
		progressbar.OptionSetDescription(text + spaces(room-columns(text)))(b.bar)
	} else {
		room := row - barFrame
		head, figures := s.layout(room, minBar)
		theme := progressbar.ThemeDefault
		theme.BarEnd += figures
		progressbar.OptionSetTheme(theme)(b.bar)
		progressbar.OptionSetDescription(head)(b.bar)
		progressbar.OptionSetWidth(max(0, room-columns(head)-columns(figures)))(b.bar)
		// The middle of a percent, because the library rounds 29 of 100 down to 28. It is
		// never the end, at which the library would remove the bar.
		_ = b.bar.Set64(int64(max(0, percent(s.sent, s.size))*2 + 1))
	}
	_ = b.bar.RenderBlank()
	b.drawn = true
}

// hide erases the row. Spaces would stay at the ends of the lines that are printed in
// its place.
func (b *bar) hide() {
	switch {
	case !b.drawn:
	case ansi:
		io.WriteString(b.w, "\r\x1b[0K")
	default:
		fmt.Fprintf(b.w, "\r%s\r", spaces(b.columns()-1))
	}
}

func (b *bar) restore() {
	if b.drawn {
		_ = b.bar.RenderBlank()
	}
}

// layout returns the text before and after the bar. Together with a bar of bar columns,
// they fit into room.
func (s snapshot) layout(room, bar int) (head, figures string) {
	figures = s.figures(room, bar)
	rest := room - columns(figures)
	if bar > 0 {
		bar = max(bar, rest/4)
	}
	return s.head(rest - bar), figures
}

// figures returns the figures that leave room for name and bar: it omits the rate first,
// then the time, and the bytes only if they do not fit alone.
func (s snapshot) figures(room, bar int) string {
	for _, texts := range [][]string{
		{s.shortBytes(), s.rateText(), s.leftText()},
		{s.shortBytes(), s.leftText()},
	} {
		if text := " " + joined(texts...); columns(text)+minName+bar <= room {
			return text
		}
	}
	if text := " " + s.shortBytes(); columns(text) <= room {
		return text
	}
	return ""
}

// head returns the name of the file. For several files it returns how many are done, and
// the name and progress of one in flight.
func (s snapshot) head(room int) string {
	if s.files == 1 {
		if len(s.active) == 0 || room < minName {
			return ""
		}
		return s.active[0].shortName(room)
	}
	count := fmt.Sprintf("%d/%d", s.done, s.files)
	if len(count) > room {
		return ""
	}
	room -= len(count) + len(" ")
	if len(s.active) == 0 || room < minName {
		return count
	}
	f := s.active[0]
	progress := fmt.Sprintf(" (%d%%)", percent(f.sent, f.size))
	if f.size <= 0 || room-len(progress) < minName {
		progress = ""
	}
	return count + " " + f.shortName(room-len(progress)) + progress
}

// shortBytes is bytes with one unit, if both have the same.
func (s snapshot) shortBytes() string {
	sent, unit, _ := strings.Cut(bytesText(s.sent), " ")
	if size := bytesText(s.size); s.size >= 0 && strings.HasSuffix(size, " "+unit) {
		return sent + " of " + size
	}
	return s.bytes()
}

func spaces(n int) string { return strings.Repeat(" ", max(0, n)) }
