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

// EscapeInvalid returns s with the bytes escaped that are not UTF-8, so that two names never
// look alike.
func EscapeInvalid(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(r)) {
			fmt.Fprintf(&b, `\x%02x`, s[i])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Line returns s with control characters and invalid bytes escaped. File names and responses
// could otherwise forge lines and colors.
func Line(s string) string {
	var b strings.Builder
	for _, r := range EscapeInvalid(s) {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
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
	if Columns(s) <= most {
		return s
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

// Duration formats d in whole seconds, with at most two units.
func Duration(d time.Duration) string {
	two := func(n time.Duration, unit string, rest time.Duration, small string) string {
		if rest == 0 {
			return fmt.Sprintf("%d %s", n, unit)
		}
		return fmt.Sprintf("%d %s %d %s", n, unit, rest, small)
	}
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return two(d/time.Minute, "min", d%time.Minute/time.Second, "s")
	case d < day:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "min")
	}
	return two(d/day, "d", d%day/time.Hour, "h")
}
