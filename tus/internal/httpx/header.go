package httpx

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ValidHeaders returns an error unless every field of h can be sent as it is. CR,
// LF and other control characters would let a value forge headers. The error
// names no value, which may be a secret.
func ValidHeaders(h http.Header) error {
	for name, values := range h {
		if err := validName(name); err != nil {
			return err
		}
		for _, value := range values {
			for i := range len(value) {
				if c := value[i]; c != '\t' && (c < ' ' || c == 0x7f) {
					return fmt.Errorf("control character in the value of header %s", name)
				}
			}
		}
	}
	return nil
}

// validName checks the token rule of RFC 9110, 5.6.2.
func validName(name string) error {
	if name == "" {
		return errors.New("empty header name")
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return fmt.Errorf("header name %s", QuoteShort(name))
		}
	}
	return nil
}

// ParseDigits reads a non-negative integer below 2^63 of ASCII digits only;
// strconv.ParseInt would let "+5" and "-0" through.
func ParseDigits(s string) (n int64, ok bool) {
	u, err := strconv.ParseUint(s, 10, 63)
	return int64(u), err == nil
}

// IsProtocolHeader reports whether a header field, named in canonical form, is one of
// tus 1.0.0. Services define others with the same prefixes, such as Upload-Creator.
func IsProtocolHeader(name string) bool {
	switch name {
	case "Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Expires",
		"Upload-Concat", "Upload-Checksum",
		"Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm":
		return true
	}
	return false
}

// RetryAfter reads Retry-After of a response that came at now. A date in it is one of
// the server's clock, which Date tells (RFC 9110, 6.6.1).
func RetryAfter(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return ParseRetryAfter(h.Get("Retry-After"), now)
}

// ParseRetryAfter reads Retry-After in both of its forms, seconds and an HTTP
// date (RFC 9110, 10.2.3). An unreadable value counts as absent.
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

// QuoteShort quotes what a server sent for an error text, cut to a length that
// cannot flood a log.
func QuoteShort(s string) string {
	const limit = 60
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}
