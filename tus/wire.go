package tus

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ProtocolVersion is the version of the tus protocol that this package speaks.
const ProtocolVersion = "1.0.0"

// Header names of the core protocol and its extensions.
const (
	headerTusResumable      = "Tus-Resumable"
	headerTusVersion        = "Tus-Version"
	headerTusExtension      = "Tus-Extension"
	headerTusMaxSize        = "Tus-Max-Size"
	headerChecksumAlgorithm = "Tus-Checksum-Algorithm"
	headerUploadOffset      = "Upload-Offset"
	headerUploadLength      = "Upload-Length"
	headerUploadDeferLength = "Upload-Defer-Length"
	headerUploadMetadata    = "Upload-Metadata"
	headerUploadExpires     = "Upload-Expires"
	headerUploadConcat      = "Upload-Concat"
	headerUploadChecksum    = "Upload-Checksum"
	headerMethodOverride    = "X-Http-Method-Override"
	headerContentType       = "Content-Type"
	headerRetryAfter        = "Retry-After"
	headerLocation          = "Location"
)

// offsetContentType is the media type of every request body that carries
// bytes of an upload.
const offsetContentType = "application/offset+octet-stream"

// statusChecksumMismatch is "460 Checksum Mismatch" of the checksum extension.
const statusChecksumMismatch = 460

// parseInteger reads a header whose value the protocol defines as a
// non-negative integer (offsets, lengths, Tus-Max-Size). Servers are not
// trusted: a sign, a fraction, a second value that differs or a number above 2^63-1
// is an error that matches [ErrProtocol].
func parseInteger(h http.Header, name string) (n int64, present bool, err error) {
	values := h.Values(name)
	if len(values) == 0 {
		return 0, false, nil
	}
	if distinct := slices.Compact(slices.Clone(values)); len(distinct) > 1 {
		return 0, true, fmt.Errorf("%w: %d values of %s", ErrProtocol, len(values), name)
	}
	n, ok := parseDigits(values[0])
	if !ok {
		return 0, true, fmt.Errorf("%w: %s is %s", ErrProtocol, name, quoteShort(values[0]))
	}
	return n, true, nil
}

// parseDigits accepts only ASCII digits; strconv.ParseInt would let "+5"
// and "-0" through.
func parseDigits(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
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

// parseRetryAfter reads Retry-After in both of its forms, seconds and an HTTP
// date (RFC 9110, 10.2.3). An unreadable value counts as absent.
func parseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if seconds, ok := parseDigits(value); ok {
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

// parseExpires reads Upload-Expires (extension Expiration). The header only
// advises, so an unreadable one counts as absent.
func parseExpires(h http.Header) time.Time {
	value := h.Get(headerUploadExpires)
	if value == "" {
		return time.Time{}
	}
	t, err := http.ParseTime(value)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// Concat says what part an upload plays in the concatenation extension.
type Concat int

const (
	// ConcatNone is an ordinary upload.
	ConcatNone Concat = iota
	// ConcatPartial is one part of a final upload.
	ConcatPartial
	// ConcatFinal is an upload concatenated from partial uploads.
	ConcatFinal
)

// String returns the word that the protocol uses, "none" for an ordinary upload.
func (c Concat) String() string {
	switch c {
	case ConcatPartial:
		return "partial"
	case ConcatFinal:
		return "final"
	}
	return "none"
}

// parseConcat reads Upload-Concat (extension Concatenation) as a server
// returns it: "partial", or "final;" and the URLs of the partial uploads.
func parseConcat(value string) (Concat, []string) {
	value = strings.TrimSpace(value)
	if value == "partial" {
		return ConcatPartial, nil
	}
	if urls, ok := strings.CutPrefix(value, "final;"); ok {
		return ConcatFinal, strings.Fields(urls)
	}
	return ConcatNone, nil
}

// quoteShort quotes what a server sent for an error text, cut to a length that
// cannot flood a log.
func quoteShort(s string) string {
	const limit = 60
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}

// validHeader reports whether a header field of the caller can be sent as it
// is. CR, LF and other control characters would let a value forge headers.
func validHeader(name, value string) error {
	if name == "" {
		return fmt.Errorf("%w: empty header name", ErrInvalidInput)
	}
	for i := range len(name) {
		if c := name[i]; !isTokenByte(c) {
			return fmt.Errorf("%w: header name %s", ErrInvalidInput, quoteShort(name))
		}
	}
	for i := range len(value) {
		if c := value[i]; c != '\t' && (c < ' ' || c == 0x7f) {
			// The value may be a secret, so only its name is told.
			return fmt.Errorf("%w: control character in the value of header %s", ErrInvalidInput, name)
		}
	}
	return nil
}

// validHeaders checks every field of h.
func validHeaders(h http.Header) error {
	for name, values := range h {
		for _, value := range values {
			if err := validHeader(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// isTokenByte is the token rule of RFC 9110, 5.6.2.
func isTokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
