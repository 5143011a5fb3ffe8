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

	// margin is what stays free at the end of the row, for the cursor and for the
	// ^C that a terminal writes where it stands. A longer line would wrap, and
	// could not be wiped any more.
	margin = 3
	// around is what the library writes besides description, bar and theme: the
	// percentage, the bars' ends and spaces.
	around = len("  18% |") + len("|  ")
	// aroundSpinner is the same where there is no bar.
	aroundSpinner = len("|  ") + len("  ")

	// leastBar and leastName are the columns below which bar and name are not
	// worth theirs.
	leastBar  = 4
	leastName = 8

	barSteps = 200 // two for each percent

	// ansi says that terminals know the code that wipes the rest of a row.
	ansi = runtime.GOOS != "windows"
)

// bar shows progress on one row of a terminal: a head, a bar and figures.
type bar struct {
	w       io.Writer
	columns func() int // of the terminal, which may change
	bar     *progressbar.ProgressBar
	spins   bool // for want of a size
	drawn   bool
}

// newBar makes a bar, or a spinner if there is a file of unknown size.
//
// The library draws it. What it could tell by itself is of no use here: its rate
// counts what earlier sessions sent, and its line may be longer than the row.
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
		progressbar.OptionSetSpinnerChangeInterval(0), // else it draws by itself, and for ever
		progressbar.OptionUseANSICodes(ansi),
	)
	return b
}

// terminalColumns is the width of a terminal.
func terminalColumns(fd int) int {
	if width, _, err := term.GetSize(fd); err == nil && width > 0 {
		return width
	}
	return 80
}

func (b *bar) interval() time.Duration { return barInterval }

// show draws the bar. The figures that follow it are a part of its end to the
// library, which knows only a text before it.
func (b *bar) show(s snapshot) {
	row := b.columns() - margin
	if b.spins {
		room := row - aroundSpinner
		head, figures := s.layout(room, 0)
		text := strings.TrimSpace(head + figures)
		progressbar.OptionSetDescription(text + spaces(room-columns(text)))(b.bar)
	} else {
		room := row - around
		head, figures := s.layout(room, leastBar)
		theme := progressbar.ThemeDefault
		theme.BarEnd += figures
		progressbar.OptionSetTheme(theme)(b.bar)
		progressbar.OptionSetDescription(head)(b.bar)
		progressbar.OptionSetWidth(max(0, room-columns(head)-columns(figures)))(b.bar)
		// Between two percents, as the library rounds 29 of 100 down to 28. It
		// never gets to the end, where the library would take the bar away.
		_ = b.bar.Set64(int64(max(0, percent(s.sent, s.size))*2 + 1))
	}
	_ = b.bar.RenderBlank()
	b.drawn = true
}

// hide wipes the row. Spaces would do too, but stay at the ends of the lines that
// take the bar's place.
func (b *bar) hide() {
	switch {
	case !b.drawn:
	case ansi:
		io.WriteString(b.w, "\r\x1b[0K")
	default:
		fmt.Fprintf(b.w, "\r%s\r", spaces(b.columns()-1))
	}
}

func (b *bar) back() {
	if b.drawn {
		_ = b.bar.RenderBlank()
	}
}

// layout is what stands before and after the bar, together not wider than room
// without the bar.
func (s snapshot) layout(room, bar int) (head, figures string) {
	figures = s.figures(room, bar)
	rest := room - columns(figures)
	if bar > 0 {
		bar = max(bar, rest/4)
	}
	return s.head(rest - bar), figures
}

// figures are as many as leave room for name and bar, the rate being the first to
// go. The bytes stay even so.
func (s snapshot) figures(room, bar int) string {
	for _, texts := range [][]string{
		{s.shortBytes(), s.rateText(), s.leftText()},
		{s.shortBytes(), s.leftText()},
	} {
		if text := " " + joined(texts...); columns(text)+leastName+bar <= room {
			return text
		}
	}
	if text := " " + s.shortBytes(); columns(text) <= room {
		return text
	}
	return ""
}

// head is the name of the file; of several, how many are done, and the name and
// the progress of one under way.
func (s snapshot) head(room int) string {
	if s.files == 1 {
		if len(s.active) == 0 || room < leastName {
			return ""
		}
		return s.active[0].shortName(room)
	}
	count := fmt.Sprintf("%d/%d", s.done, s.files)
	if len(count) > room {
		return ""
	}
	room -= len(count) + len(" ")
	if len(s.active) == 0 || room < leastName {
		return count
	}
	f := s.active[0]
	progress := fmt.Sprintf(" (%d%%)", percent(f.sent, f.size))
	if f.size <= 0 || room-len(progress) < leastName {
		progress = ""
	}
	return count + " " + f.shortName(room-len(progress)) + progress
}

// shortBytes names the unit once, if it is the same.
func (s snapshot) shortBytes() string {
	sent, unit, _ := strings.Cut(bytesText(s.sent), " ")
	if size := bytesText(s.size); s.size >= 0 && strings.HasSuffix(size, " "+unit) {
		return sent + " of " + size
	}
	return s.bytes()
}

func spaces(n int) string { return strings.Repeat(" ", max(0, n)) }
