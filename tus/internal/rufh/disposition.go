package rufh

import (
	"mime"
	"strings"
	"unicode/utf8"
)

// FormatDisposition returns the Content-Disposition that carries a file name (RFC 6266). A
// name that is not plain ASCII is in filename* (RFC 8187), and filename has a substitute
// for recipients that do not support it. It returns false if the name is empty or not UTF-8.
func FormatDisposition(name string) (string, bool) {
	if name == "" || !utf8.ValidString(name) {
		return "", false
	}
	plain := true
	substitute := strings.Map(func(r rune) rune {
		// Recipients differ about an escaped or encoded character in a quoted string.
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%`, r) {
			plain = false
			return '_'
		}
		return r
	}, name)
	value := `inline; filename="` + substitute + `"`
	if !plain {
		value += "; filename*=UTF-8''" + encode(name)
	}
	return value, true
}

// encode percent-encodes a value (RFC 8187, section 3.2.1).
func encode(name string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if letter || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// ParseDisposition returns the file name in a Content-Disposition; filename* has precedence.
// The name may contain directories: it is not safe as a path. It returns false if the value
// is invalid, has no name, or one that is not UTF-8.
func ParseDisposition(value string) (string, bool) {
	_, parameters, err := mime.ParseMediaType(value)
	name := parameters["filename"]
	if err != nil || name == "" || !utf8.ValidString(name) {
		return "", false
	}
	return name, true
}
