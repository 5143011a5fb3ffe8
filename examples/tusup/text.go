package main

import (
	"fmt"
	"strings"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
)

// oneLine returns s with control characters escaped, for a terminal or a log. File
// names and responses could otherwise forge lines and colors.
func oneLine(s string) string {
	return text.Line(s)
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
