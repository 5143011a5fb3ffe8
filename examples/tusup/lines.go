package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	// lineInterval is the time between two lines.
	lineInterval = 2 * time.Second
	// lineNames is the maximum number of files that a line names.
	lineNames = 4
	// nameColumns is the maximum width of the name of a file.
	nameColumns = 24
)

// plainLines shows progress in a file or a pipe, as one line per interval.
type plainLines struct {
	w    io.Writer
	last string
}

func (l *plainLines) interval() time.Duration { return lineInterval }
func (l *plainLines) hide()                   {}
func (l *plainLines) restore()                {}

// show prints a line, unless it equals the previous one.
func (l *plainLines) show(s snapshot) {
	text := s.line()
	if text == l.last {
		return
	}
	l.last = text
	fmt.Fprintln(l.w, text)
}

// line returns a line such as "12.0 MiB of 64.0 MiB, 18 %, 4.1 MiB/s, 13 s left". For
// several files it also has how many are done, and the progress of those in flight.
func (s snapshot) line() string {
	var count, failed, part string
	if s.files > 1 {
		count = fmt.Sprintf("%d of %d files", s.done, s.files)
	}
	if s.failed > 0 {
		failed = fmt.Sprintf("%d failed", s.failed)
	}
	if p := percent(s.sent, s.size); p >= 0 {
		part = fmt.Sprintf("%d %%", p)
	}
	text := joined(count, failed, s.bytes(), part, s.rateText(), s.leftText())
	if s.files > 1 && len(s.active) > 0 {
		text += ": " + s.names()
	}
	return text
}

// names returns the names of the files in flight, each with its progress.
func (s snapshot) names() string {
	var texts []string
	for _, f := range s.active[:min(lineNames, len(s.active))] {
		progress := bytesText(f.sent)
		if p := percent(f.sent, f.size); p >= 0 {
			progress = fmt.Sprintf("%d %%", p)
		}
		texts = append(texts, f.shortName(nameColumns)+" "+progress)
	}
	if more := len(s.active) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(texts, ", ")
}

// shortName returns the name without directories, escaped and cut to columns.
func (f fileProgress) shortName(columns int) string {
	return shorten(oneLine(lastSegment(f.name)), min(columns, nameColumns))
}
