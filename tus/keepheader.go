package tus

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"unicode/utf8"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// maxKeptHeader limits the bytes that are kept of a response: each renewal of the lease
// writes the record again.
const maxKeptHeader = 8 << 10

// headersToKeep returns the canonical names of the header fields to keep.
func headersToKeep(names []string) ([]string, error) {
	var keep []string
	for _, name := range names {
		if !httpx.IsToken(name) {
			return nil, fmt.Errorf("%w: Options.KeepHeaders has %s, which is not a header name", ErrInvalidInput, httpx.QuoteShort(name))
		}
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if carriesCredentials(canonical) {
			return nil, fmt.Errorf("%w: Options.KeepHeaders has %s, which carries credentials", ErrInvalidInput, canonical)
		}
		if !slices.Contains(keep, canonical) {
			keep = append(keep, canonical)
		}
	}
	return keep, nil
}

// carriesCredentials reports whether the purpose of a header field is to carry secrets.
func carriesCredentials(canonical string) bool {
	switch canonical {
	case "Set-Cookie", "Set-Cookie2", "Cookie", "Authorization", "Proxy-Authorization",
		"Www-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Proxy-Authentication-Info":
		return true
	}
	return false
}

// keepHeader returns the header fields to keep of the response to a creation, nil for none.
// Its size includes the name of each value, as a record does.
func (c *Client) keepHeader(r *reply) http.Header {
	var kept http.Header
	size := 0
	for _, name := range c.opts.KeepHeaders {
		for _, value := range r.Header[name] {
			value = r.secrets.clean(value)
			if !utf8.ValidString(value) || httpx.ValidHeaders(http.Header{name: {value}}) != nil {
				continue // a record cannot contain it
			}
			if size += len(name) + len(value); size > maxKeptHeader {
				return kept
			}
			if kept == nil {
				kept = http.Header{}
			}
			kept.Add(name, value)
		}
	}
	return kept
}
