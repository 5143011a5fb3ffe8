package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// oneLine returns text with control characters escaped, for a terminal or a log. File
// names and responses could otherwise forge lines and colors.
func oneLine(text string) string {
	var b strings.Builder
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(r)) { // invalid UTF-8
			fmt.Fprintf(&b, `\x%02x`, text[i]) // so that two names never look alike
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

// columns returns the maximum width of s on a terminal. It adds the widths of all runes:
// terminals differ in the width of combined runes, such as flags.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += uniseg.StringWidth(string(r))
	}
	return n
}

// shorten cuts s to at most most columns.
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

// shellQuote returns s as one word of a POSIX shell that is not a flag, so that a pasted
// URL of a server runs no commands. For text that cannot be printed it uses $'…', which is
// part of POSIX 2024 and which bash and zsh support.
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
