package progress

import (
	"fmt"
	"io"
	"slices"
	"time"
)

const (
	// lineInterval is the minimum time between two lines.
	lineInterval = 2 * time.Second
	// firstWait is the time after which the first line may follow if an upload waits: the
	// first retries follow at once, and a shorter wait is not worth a line.
	firstWait = time.Second
	// waitInterval is the time after which a line follows if no bytes moved.
	waitInterval = 5 * time.Second
	// maxLine is the maximum width of a line. It has as many files as there is room for.
	maxLine = 240
)

// lines shows progress in a file or a pipe, as one line per interval.
type lines struct {
	w       io.Writer
	printed time.Time // at first, the start
	sent    int64     // in the last line, -1 if there is none
}

// draw prints a line if bytes moved or an upload waits.
func (l *lines) draw(d *Display, now time.Time) {
	rows := d.rows(now)
	if len(rows) == 0 {
		return
	}
	interval, sent := lineInterval, rows[len(rows)-1].sent
	waits := slices.ContainsFunc(rows, func(r row) bool { return r.reason.cause != "" })
	switch {
	case sent == l.sent && !waits:
		return
	case sent == l.sent:
		interval = waitInterval
	case l.sent < 0 && waits:
		interval = firstWait
	}
	if now.Sub(l.printed) >= interval {
		l.printed, l.sent = now, sent
		fmt.Fprintln(l.w, line(rows))
	}
}

// line returns the progress of all files, then of those that wait, one for each cause, and
// then of those that move.
func line(rows []row) string {
	files := map[string]int{} // by cause
	for _, r := range rows {
		files[r.reason.cause]++
	}
	var all, waiting, moving []string
	for _, r := range rows {
		n := files[r.reason.cause]
		t := fit(" ", maxLine, r.name, r.unit, r.percent(), r.texts(maxLine, 0))
		switch {
		case r.unit != "":
			all = append(all, t)
		case r.reason.cause == "":
			moving = append(moving, t)
		case n > 1:
			waiting = append(waiting, fmt.Sprintf("%d files wait: %s", n, t))
			files[r.reason.cause] = 0 // the others are not named
		case n == 1:
			waiting = append(waiting, t)
		}
	}
	return fit("; ", maxLine, slices.Concat(all, waiting, moving)...)
}
