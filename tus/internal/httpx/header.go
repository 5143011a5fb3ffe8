package httpx

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ValidHeaders returns an error if a field of h cannot be sent unchanged. CR, LF and other
// control characters in a value could forge headers. The error contains no value, which
// may be a secret.
func ValidHeaders(h http.Header) error {
	for name, values := range h {
		if !IsToken(name) {
			return fmt.Errorf("invalid header name %s", QuoteShort(name))
		}
		for _, value := range values {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return fmt.Errorf("control character in the value of header %s", name)
			}
		}
	}
	return nil
}

// IsToken reports whether s is a token (RFC 9110, 5.6.2).
func IsToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// LowerASCII returns s with the letters A to Z in lower case. [strings.ToLower] also maps
// some letters beyond ASCII to ASCII, such as the Kelvin sign to k, and so to another
// name.
func LowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// ParseDigits parses a non-negative integer below 2^63 that consists of ASCII digits.
// [strconv.ParseInt] also accepts "+5" and "-0".
func ParseDigits(s string) (n int64, ok bool) {
	u, err := strconv.ParseUint(s, 10, 63)
	return int64(u), err == nil
}

// IsProtocolHeader reports whether tus 1.0.0 defines the header field with this canonical
// name. Services define others with the same prefixes, such as Upload-Creator.
func IsProtocolHeader(name string) bool {
	switch name {
	case "Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Expires",
		"Upload-Concat", "Upload-Checksum",
		"Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm":
		return true
	}
	return false
}

// RetryAfter parses Retry-After of a response received at now. A date in it is relative to
// the server's clock, which Date contains (RFC 9110, 6.6.1).
func RetryAfter(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return ParseRetryAfter(h.Get("Retry-After"), now)
}

// ParseRetryAfter parses both forms of Retry-After, seconds and an HTTP date (RFC 9110,
// 10.2.3). An invalid value counts as absent.
func ParseRetryAfter(value string, now time.Time) (wait time.Duration, ok bool) {
	value = strings.TrimSpace(value)
	if seconds, ok := ParseDigits(value); ok {
		if seconds > int64(math.MaxInt64/time.Second) {
			return math.MaxInt64, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now)), true
	}
	return 0, false
}

// QuoteShort quotes a string of a server for an error text. It cuts a long string, which
// could flood a log.
func QuoteShort(s string) string {
	const limit = 60
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}
