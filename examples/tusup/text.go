package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// oneLine is text as it may go to a terminal or a log. File names and servers'
// words can hold control characters, which would forge lines and colors.
func oneLine(text string) string {
	var b strings.Builder
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(r)) { // a byte that is no text
			fmt.Fprintf(&b, `\x%02x`, text[i]) // else two names would look alike
			continue
		}
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
// server put into a URL must not run when it is pasted. What cannot be printed as it
// is takes the $'…' of POSIX 2024, which bash, zsh and others have had for long.
func shellQuote(s string) string {
	if strings.HasPrefix(s, "-") {
		s = "./" + s
	}
	if oneLine(s) != s {
		var b strings.Builder
		for _, c := range []byte(s) {
			if c < ' ' || c >= 0x7f || c == '\'' || c == '\\' {
				fmt.Fprintf(&b, `\%03o`, c)
			} else {
				b.WriteByte(c)
			}
		}
		return "$'" + b.String() + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
