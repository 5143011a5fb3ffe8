package progress

import (
	"fmt"
	"io"
	"strings"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
)

const (
	// minBar and minName are the smallest useful widths of bar and name.
	minBar  = 6
	minName = 8
	// goodName is the width of a name that is worth more than the rate.
	goodName = 16
	// bytesColumns is the width of the bytes of a file in a table of several.
	bytesColumns = len("1023.9 KiB of 1023.9 MiB")
	// tableColumns is the width from which rows of several files have columns.
	tableColumns = 70
)

// content is what a row shows: a name, a bar and figures. Each has less room than it wants.
type content struct {
	name    string
	figures []string // the longest that leaves room for the name is shown
	bar     bool     // the library draws one in the rest of the row
	table   bool     // the name has a column
}

// fileContent returns the row of a file.
func (s snapshot) fileContent(f fileProgress) content {
	c := content{name: f.shortName(), table: s.files > 1}
	part, bytes := percentText(f.sent, f.size), shortBytes(f.sent, f.size)
	switch {
	case f.waits:
		c.figures = []string{spaced(part, bytes+"; "+f.reason.String()), spaced(part, f.reason.String()), f.reason.String(), spaced(part, f.reason.short()), f.reason.short()}
	case c.table:
		c.bar = true
		c.figures = []string{fmt.Sprintf("%4s %*s", part, bytesColumns, bytes), spaced(part, bytes)}
	default:
		c.bar = f.size > 0
		c.figures = []string{
			spaced(part, joined(bytes, s.rateText(), s.leftText())),
			spaced(part, joined(bytes, s.leftText())),
			spaced(part, bytes),
		}
	}
	return c
}

// totalContent returns the row of all files.
func (s snapshot) totalContent() content {
	t := s.totals()
	bytes, short := shortBytes(s.sent, s.size), fmt.Sprintf("%d/%d", s.done, s.files)
	return content{figures: []string{
		joined(t.count, t.failed, bytes, t.part, t.rate, t.left),
		joined(t.count, t.failed, bytes, t.part, t.left),
		joined(t.count, t.failed, bytes, t.part),
		joined(short, t.failed, bytes, t.part),
		joined(short, t.part, bytes),
		joined(short, t.part, text.Bytes(s.sent)),
	}}
}

func spaced(texts ...string) string { return strings.TrimSpace(strings.Join(texts, " ")) }

// fill writes the row, in at most the available columns.
func (c content) fill(w io.Writer, stat decor.Statistics, bar mpb.BarFiller) error {
	width := stat.AvailableWidth
	name, figures := c.fit(width)
	rest := width - text.Columns(name) - text.Columns(figures) - 2
	if !c.bar || rest < minBar {
		row := spaced(name, figures)
		if c.bar && c.table { // figures stay in their column
			row = name + strings.Repeat(" ", max(0, min(1, len(name)), rest+2)) + figures
		}
		_, err := io.WriteString(w, text.Cut(row, width))
		return err
	}
	if _, err := io.WriteString(w, name+strings.Repeat(" ", min(1, len(name)))); err != nil {
		return err
	}
	stat.AvailableWidth = rest
	if name == "" {
		stat.AvailableWidth++
	}
	if stat.Total > 0 {
		if err := bar.Fill(w, stat); err != nil {
			return err
		}
	} else if _, err := io.WriteString(w, strings.Repeat(" ", stat.AvailableWidth)); err != nil {
		return err
	}
	_, err := io.WriteString(w, " "+figures)
	return err
}

// fit returns the name and the figures for a row. Figures are not cut unless the shortest
// ones are longer than the row.
func (c content) fit(width int) (name, figures string) {
	room := 0
	if c.name != "" {
		room = min(minName, text.Columns(c.name)) + 1
	}
	if c.bar && !c.table {
		room = min(goodName, text.Columns(c.name)) + 1 + minBar + 1
	}
	variants := c.figures
	if c.table && c.bar && width < tableColumns {
		variants = variants[1:]
	}
	for _, figures = range variants {
		if text.Columns(figures)+room <= width {
			break
		}
	}
	figures = text.Cut(figures, width)
	rest := width - text.Columns(figures) - 1
	most := min(rest, nameColumns)
	if c.bar && rest-most < minBar+1 {
		most = min(rest, max(minName, rest-rest/4))
	}
	if c.table && width >= tableColumns {
		most = min(most, max(minName, width/4))
	}
	if c.name == "" || most < 3 {
		return "", figures
	}
	name = text.Cut(c.name, most)
	if c.table {
		name += strings.Repeat(" ", max(0, most-text.Columns(name)))
	}
	return name, figures
}
