package tus

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// The header fields of tus 1.0.0. They are parsed strictly, as servers are not trusted.

// parseInteger parses a header field that the protocol defines as a non-negative integer
// (offsets, lengths, Tus-Max-Size). It accepts a plus sign, and blanks around, which only HTTP/1
// removes. For a minus sign, a fraction, two different values or a number above 2^63-1 it
// returns 0 and an error matching [ErrProtocol].
func parseInteger(h http.Header, name string) (n int64, present bool, err error) {
	values := h.Values(name)
	if len(values) == 0 {
		return 0, false, nil
	}
	if slices.ContainsFunc(values, func(v string) bool { return v != values[0] }) {
		return 0, true, fmt.Errorf("%w: %d values of %s", ErrProtocol, len(values), name)
	}
	n, ok := httpx.ParseDigits(strings.TrimPrefix(strings.Trim(values[0], " \t"), "+"))
	if !ok {
		return 0, true, fmt.Errorf("%w: %s is %s", ErrProtocol, name, httpx.QuoteShort(values[0]))
	}
	return n, true, nil
}

// parseList parses Tus-Version or Tus-Extension, a comma-separated list in one or more header
// lines.
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

// lastExpiry is the last Unix second that a record can contain (RFC 3339).
const lastExpiry = 253402300799

// parseExpires parses Upload-Expires (extension Expiration), which oCIS sends in Unix
// seconds. An invalid value counts as absent, as the field is only a hint.
func parseExpires(h http.Header) time.Time {
	value := h.Get(headerUploadExpires)
	if value == "" {
		return time.Time{}
	}
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

const (
	// largeConcatLine is the length of the Upload-Concat line above which a server may refuse
	// it: the lowest limits of servers are 4 KiB.
	largeConcatLine = 4 << 10
	// urlSpare is how many bytes longer than the first part URL the others may be, for
	// example if the server counts IDs.
	urlSpare = 16
)

// concatLine returns the length in bytes of the header line for a final upload of count
// parts. urls is the length of all their URLs.
func concatLine(count, urls int64) int64 {
	return int64(len(headerUploadConcat+": final;\r\n")) + urls + max(0, count-1)
}

// mostParts returns how many parts fit in a header line of limit bytes. first is the URL of
// the first one.
func mostParts(limit int64, first *url.URL) int64 {
	each := int64(len(first.String())) + urlSpare
	return max(0, limit-concatLine(0, 0)+1) / (each + 1)
}

// concatRefused adds a hint to the cause of a refusal, which may be nil, if the header line
// of a final upload may have been too long. names is nil for other uploads.
func concatRefused(status int, names []string, cause error) error {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
	default:
		return cause
	}
	line := concatLine(1, int64(len(strings.Join(names, " "))))
	if line <= largeConcatLine {
		return cause
	}
	hint := fmt.Errorf("%s has %d bytes for %d parts, which the server or a proxy may refuse as too long: raise its limit, "+
		"or upload again in fewer parts (UploadOptions.Parallel, or MinPartSize or MaxConcatHeader of ParallelOptions)", headerUploadConcat, line, len(names))
	if cause == nil {
		return hint
	}
	return fmt.Errorf("%w: %w", cause, hint)
}
