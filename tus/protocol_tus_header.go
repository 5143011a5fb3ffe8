package tus

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// The values of header fields of tus 1.0.0, read strictly: servers are not trusted.

// parseInteger reads a header whose value the protocol defines as a
// non-negative integer (offsets, lengths, Tus-Max-Size). A sign, a fraction, a second
// value that differs or a number above 2^63-1 is an error matching [ErrProtocol].
func parseInteger(h http.Header, name string) (n int64, present bool, err error) {
	values := h.Values(name)
	if len(values) == 0 {
		return 0, false, nil
	}
	if distinct := slices.Compact(slices.Clone(values)); len(distinct) > 1 {
		return 0, true, fmt.Errorf("%w: %d values of %s", ErrProtocol, len(values), name)
	}
	n, ok := httpx.ParseDigits(values[0])
	if !ok {
		return 0, true, fmt.Errorf("%w: %s is %s", ErrProtocol, name, httpx.QuoteShort(values[0]))
	}
	return n, true, nil
}

// parseList splits the comma-separated lists of Tus-Version, Tus-Extension and
// Tus-Checksum-Algorithm, which may also be spread over several header lines.
func parseList(h http.Header, name string) []string {
	var list []string
	for _, line := range h.Values(name) {
		for item := range strings.SplitSeq(line, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
	}
	return list
}

// parseMaxSize reads Tus-Max-Size, 0 for no limit. Servers without a limit send their
// largest number, "Infinity" or -1, so a value that is no valid integer is no limit.
func parseMaxSize(h http.Header) int64 {
	n, _, err := parseInteger(h, headerTusMaxSize)
	if err != nil {
		return 0
	}
	return n
}

// lastExpiry is the last second that a time in a record can have (RFC 3339).
const lastExpiry = 253402300799

// parseExpires reads Upload-Expires (extension Expiration), which oCIS sends in Unix
// seconds. The header only advises, so an unreadable one counts as absent.
func parseExpires(h http.Header) time.Time {
	value := h.Get(headerUploadExpires)
	if seconds, ok := httpx.ParseDigits(value); ok && 0 < seconds && seconds <= lastExpiry {
		return time.Unix(seconds, 0).UTC()
	}
	t, err := http.ParseTime(value)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// parseConcat returns the role in Upload-Concat (extension Concatenation): its value is
// "partial", or "final;" and the URLs of the partial uploads.
func parseConcat(value string) (role string) {
	value = strings.TrimSpace(value)
	switch {
	case value == concatPartial:
		return concatPartial
	case strings.HasPrefix(value, concatFinal+";"):
		return concatFinal
	}
	return ""
}
