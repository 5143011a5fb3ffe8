package progress

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
	"github.com/seed-175555ba/tus-go/tus"
)

const (
	// maxName is the maximum width of a name.
	maxName = 24
	// percentWidth is the width of a percentage, between spaces.
	percentWidth = len(" 99 % ")
	// minBar is the smallest useful width of a bar.
	minBar = 6
)

// row is the progress of a file, or of all files.
type row struct {
	name   string // of the file, or the number of files
	unit   string // "files", "" if it is one
	sent   int64
	size   int64 // -1 if unknown
	reason reason
	speed  []string // rate, time left and failures, as far as they are known
}

// rows returns the progress of each file in flight and, of several files, that of all.
// There is none before the first upload.
func (d *Display) rows(now time.Time) []row {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.started {
		return nil
	}
	var rows []row
	for _, i := range d.active {
		rows = append(rows, row{i.name, "", i.sent, i.size, i.reason(now), nil})
	}
	total := d.totals()
	if total.TotalUnknown {
		total.Total = -1
	}
	var speed []string // has no meaning while every file waits
	if len(rows) == 0 || slices.ContainsFunc(rows, func(r row) bool { return r.reason.cause == "" }) {
		speed = speedTexts(total)
	}
	if total.Files == 1 {
		for n := range rows {
			rows[n].speed = speed
		}
		return rows
	}
	if total.Failed > 0 {
		speed = append(speed, fmt.Sprintf("%d failed", total.Failed))
	}
	count := fmt.Sprintf("%d/%d", total.Done, total.Files)
	return append(rows, row{count, "files", total.Sent, total.Total, reason{}, speed})
}

// texts returns what there is room for after the percentage, the most important first. The
// bytes of a file that moves are in a column.
func (r row) texts(room, bytesWidth int) string {
	bytes := bytesText(r.sent, r.size)
	switch {
	case r.unit != "":
		return fit(", ", room, append(r.speed, bytes)...)
	case r.reason.cause != "":
		return fit(", ", room, r.reason.fit(room), bytes)
	}
	return fit(", ", room, append([]string{fmt.Sprintf("%*s", bytesWidth, bytes)}, r.speed...)...)
}

// percent returns the percentage of sent bytes, "" if it is undefined. It is at most 99: a
// file is complete only when the server acknowledges it.
func (r row) percent() string {
	if r.size <= 0 {
		return ""
	}
	percent := int(float64(r.sent) * 100 / float64(r.size))
	return fmt.Sprintf("%d %%", min(max(0, percent), 99))
}

// bytesText returns the number of sent bytes, and the size if it is known, such as
// "12.0 of 64.0 MiB".
func bytesText(sent, size int64) string {
	if size < 0 {
		return text.Bytes(sent)
	}
	number, unit, _ := strings.Cut(text.Bytes(sent), " ")
	of := text.Bytes(size)
	if !strings.HasSuffix(of, " "+unit) {
		number += " " + unit
	}
	return number + " of " + of
}

// speedTexts returns the rate and the time left, as far as they are known.
func speedTexts(p tus.BatchProgress) []string {
	if p.Rate == 0 {
		return nil
	}
	texts := []string{text.Bytes(p.Rate) + "/s"}
	if left := p.Remaining(); left > 0 {
		texts = append(texts, text.Duration(left+time.Second-1)+" left")
	}
	return texts
}

// layout returns a line of at most width columns per row: name and percentage, the figures
// that there is room for, and a bar in the rest.
func layout(rows []row, width int) []string {
	nameWidth, bytesWidth := 0, 0
	for _, r := range rows {
		nameWidth = max(nameWidth, text.Columns(strings.TrimSpace(r.name+" "+r.unit)))
		if r.unit == "" {
			bytesWidth = max(bytesWidth, len(bytesText(r.sent, r.size)))
		}
	}
	nameWidth = max(0, min(nameWidth, maxName, width/4, width-percentWidth-bytesWidth))
	room := width - percentWidth - nameWidth
	var lines []string
	for _, r := range rows {
		name := fit(" ", nameWidth, r.name, r.unit)
		space := strings.Repeat(" ", nameWidth-text.Columns(name))
		line := fmt.Sprintf("%s%s %4s %s", name, space, r.percent(), r.texts(room, bytesWidth))
		line = text.Cut(strings.TrimSpace(line), width)
		lines = append(lines, line+r.bar(width-text.Columns(line)))
	}
	return lines
}

// bar returns a space and a bar, "" if there is no room, the size is unknown or the file
// waits.
func (r row) bar(width int) string {
	if width <= minBar || r.size <= 0 || r.reason.cause != "" {
		return ""
	}
	var b strings.Builder
	style := mpb.BarStyle().Tip("").Padding(" ").Build()
	_ = style.Fill(&b, decor.Statistics{AvailableWidth: width - 1, Total: r.size, Current: r.sent})
	return " " + b.String()
}

// fit joins the texts that are not empty, up to the first that makes the result wider than
// width.
func fit(separator string, width int, texts ...string) string {
	joined := ""
	for _, t := range texts {
		if t == "" {
			continue
		}
		next := strings.TrimPrefix(joined+separator+t, separator)
		if text.Columns(next) > width {
			return cmp.Or(joined, text.Cut(t, width))
		}
		joined = next
	}
	return joined
}
