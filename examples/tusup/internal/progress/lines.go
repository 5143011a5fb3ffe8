package progress

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
)

const (
	// lineTick is how often a reason to wait is looked for.
	lineTick = 250 * time.Millisecond
	// lineInterval is the minimum time between two lines.
	lineInterval = 2 * time.Second
	// repeatInterval is the time after which a line about a wait is repeated.
	repeatInterval = 5 * time.Second
	// shortWait is the duration of a wait that is not worth a line: the first retries
	// follow at once.
	shortWait = 500 * time.Millisecond
	// lineNames is the maximum number of files that a line names.
	lineNames = 4
	// nameColumns is the maximum width of the name of a file.
	nameColumns = 24
)

// lines shows progress in a file or a pipe, as one line per interval.
type lines struct {
	w       io.Writer
	last    string // without times that change every second
	printed time.Time
	ticks   int
}

func (l *lines) interval() time.Duration { return lineTick }
func (l *lines) close()                  {}

func (l *lines) above(w io.Writer, lines []byte) (int, error) { return w.Write(lines) }

// show prints a line, unless it equals the previous one. While an upload waits, a new
// reason is printed soon, and the line is repeated with new times.
func (l *lines) show(now time.Time, d *Display) {
	l.ticks++
	waiting := d.isWaiting(now, shortWait)
	age := now.Sub(l.printed)
	if waiting && age < lineInterval || !waiting && l.ticks%int(lineInterval/lineTick) != 0 || !d.hasStarted() {
		return
	}
	s := d.snapshot(now)
	key := s.line(reason.key)
	if key == l.last && (!waiting || age < repeatInterval) {
		return
	}
	l.last, l.printed = key, now
	fmt.Fprintln(l.w, s.line(reason.String))
}

// line returns a line such as "12.0 MiB of 64.0 MiB, 18 %, 4.1 MiB/s, 13 s left". For
// several files it also has how many are done, and the progress of those in flight. It
// ends with the reasons of those that wait.
func (s snapshot) line(format func(reason) string) string {
	t := s.totals()
	moving := slices.DeleteFunc(slices.Clone(s.active), func(f fileProgress) bool { return f.waits })
	line := joined(t.count, t.failed, bytesOf(s.sent, s.size), t.part, t.rate, t.left)
	if s.files > 1 && len(moving) > 0 {
		line += ": " + names(moving)
	}
	if waits := s.waits(format); waits != "" {
		line += "; " + waits
	}
	return line
}

// names returns the names of files, each with its progress.
func names(files []fileProgress) string {
	var texts []string
	for _, f := range files[:min(lineNames, len(files))] {
		progress := cmp.Or(percentText(f.sent, f.size), text.Bytes(f.sent))
		texts = append(texts, text.Cut(f.shortName(), nameColumns)+" "+progress)
	}
	if more := len(files) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(texts, ", ")
}

// waits returns the reasons of the files that wait, each cause once: the one of the next
// retry, or of the longest wait.
func (s snapshot) waits(format func(reason) string) string {
	type group struct {
		first fileProgress
		files int
	}
	var groups []group
	for _, f := range s.active {
		if !f.waits {
			continue
		}
		i := slices.IndexFunc(groups, func(g group) bool { return g.first.reason.cause == f.reason.cause })
		if i < 0 {
			groups = append(groups, group{f, 1})
			continue
		}
		groups[i].files++
		if f.reason.retry > groups[i].first.reason.retry {
			groups[i].first = f
		}
	}
	var texts []string
	for _, g := range groups[:min(lineNames, len(groups))] {
		subject := ""
		switch {
		case g.files > 1:
			subject = fmt.Sprintf("%d files: ", g.files)
		case s.files > 1:
			subject = text.Cut(g.first.shortName(), nameColumns) + ": "
		}
		texts = append(texts, subject+format(g.first.reason))
	}
	return strings.Join(texts, "; ")
}
