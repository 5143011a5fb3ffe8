package main

import (
	"strconv"
	"strings"

	"github.com/rivo/uniseg"
)

// oneLine is text as it may go to a terminal or a log. File names and servers'
// words can hold control characters, which would forge lines and colours.
func oneLine(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// columns is how many s takes on a terminal, at most: terminals do not agree on
// what several runes make together, such as flags, so each counts alone.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += uniseg.StringWidth(string(r))
	}
	return n
}

// shorten cuts s to a number of columns.
func shorten(s string, most int) string {
	if columns(s) <= most {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && columns(string(runes))+1 > most {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// shellQuote is s as one word of a POSIX shell that is not a flag. What a
// server put into a URL must not run when it is pasted.
func shellQuote(s string) string {
	if strings.HasPrefix(s, "-") {
		s = "./" + s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
