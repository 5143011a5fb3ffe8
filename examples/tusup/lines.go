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
	// lineNames is how many files a line names.
	lineNames = 4
	// nameColumns is what the name of a file gets at most.
	nameColumns = 24
)

// plainLines shows progress where it goes to a file or a program: a line now and
// then, with all in it.
type plainLines struct {
	w    io.Writer
	last string
}

func (l *plainLines) interval() time.Duration { return lineInterval }
func (l *plainLines) hide()                   {}
func (l *plainLines) back()                   {}

// show prints a line, unless it would say what the one before said.
func (l *plainLines) show(s snapshot) {
	text := s.line()
	if text == l.last {
		return
	}
	l.last = text
	fmt.Fprintln(l.w, text)
}

// line is "12.0 MiB of 64.0 MiB, 18 %, 4.1 MiB/s, 13 s left". Of several files
// it tells, too, how many are done, and how far those are that are under way.
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

// names is the files under way, each with its own progress.
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

// shortName is the name without its folders, harmless and cut to columns.
func (f fileProgress) shortName(columns int) string {
	return shorten(oneLine(lastSegment(f.name)), min(columns, nameColumns))
}
