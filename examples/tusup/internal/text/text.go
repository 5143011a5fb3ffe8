// Package text formats names and figures for one line of a terminal or a log.
package text

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Line returns s with control characters escaped, and the bytes that are not UTF-8. File
// names and responses could otherwise forge lines and colors, and two names look alike.
func Line(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		part := s[:n]
		if invalid := r == utf8.RuneError && n == 1; invalid || !strconv.IsPrint(r) {
			quoted := strconv.Quote(part)
			part = quoted[1 : len(quoted)-1]
		}
		b.WriteString(part)
		s = s[n:]
	}
	return b.String()
}

// Columns returns the maximum width of s on a terminal. It adds the widths of all runes:
// terminals differ in the width of combined runes, such as flags.
func Columns(s string) int {
	n := 0
	for _, r := range s {
		n += columns(r)
	}
	return n
}

// columns returns the maximum width of r. Half of a flag is one column wide on some
// terminals and two on others, and so is text that a variation selector makes an emoji.
func columns(r rune) int {
	const emojiSelector = '\ufe0f'
	switch {
	case r >= '\U0001f1e6' && r <= '\U0001f1ff':
		return 2
	case r == emojiSelector:
		return 1
	}
	return runewidth.RuneWidth(r)
}

// Cut cuts s to at most most columns.
func Cut(s string, most int) string {
	switch {
	case Columns(s) <= most:
		return s
	case most < 1:
		return ""
	}
	room := most - Columns("…")
	for i, r := range s {
		if room -= columns(r); room < 0 {
			return s[:i] + "…"
		}
	}
	return s
}

// Bytes formats n in powers of 1024.
func Bytes(n int64) string {
	const names = "KMGTPE"
	if n < 1<<10 {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, i := float64(n)/(1<<10), 0
	for value >= 1023.95 && i < len(names)-1 { // else %.1f prints 1024.0
		value /= 1024
		i++
	}
	return fmt.Sprintf("%.1f %ciB", value, names[i])
}

// Duration formats d with one unit.
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 100*time.Second:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 100*time.Minute:
		return fmt.Sprintf("%d min", d.Round(time.Minute)/time.Minute)
	case d < 100*time.Hour:
		return fmt.Sprintf("%d h", d.Round(time.Hour)/time.Hour)
	}
	return fmt.Sprintf("%d d", d.Round(day)/day)
}
