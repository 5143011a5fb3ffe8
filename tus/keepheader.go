package tus

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"unicode/utf8"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// maxKeptHeader bounds what is kept of a response: each renewal of the lease writes the
// record again.
const maxKeptHeader = 8 << 10

// headersToKeep returns the canonical names of the header fields to keep.
func headersToKeep(names []string) ([]string, error) {
	var keep []string
	for _, name := range names {
		if err := httpx.ValidHeaders(http.Header{name: nil}); err != nil {
			return nil, fmt.Errorf("%w: Options.KeepHeaders is not a list of header names: %w", ErrInvalidInput, err)
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

// carriesCredentials reports whether a header field holds secrets by what it is for.
func carriesCredentials(canonical string) bool {
	switch canonical {
	case "Set-Cookie", "Set-Cookie2", "Cookie", "Authorization", "Proxy-Authorization",
		"Www-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Proxy-Authentication-Info":
		return true
	}
	return false
}

// keepHeader returns what is kept of the response to a creation, nil for nothing. A name
// counts once per value, as in a record.
func (c *Client) keepHeader(r *reply) http.Header {
	var kept http.Header
	size := 0
	for _, name := range c.opts.KeepHeaders {
		for _, value := range r.Header[name] {
			value = r.secrets.clean(value)
			if !utf8.ValidString(value) || httpx.ValidHeaders(http.Header{name: {value}}) != nil {
				continue // no record can hold it
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
