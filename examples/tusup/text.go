package main

import (
	"strconv"
	"strings"
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

// shellQuote is s as one word of a POSIX shell that is not a flag. What a
// server put into a URL must not run when it is pasted.
func shellQuote(s string) string {
	if strings.HasPrefix(s, "-") {
		s = "./" + s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
