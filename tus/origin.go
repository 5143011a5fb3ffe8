package tus

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// parseURL parses an endpoint, upload URL or trusted origin that the caller
// gave. Errors name no credentials and no query.
func parseURL(kind, raw string) (*url.URL, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return nil, fmt.Errorf("%w: no %s", ErrInvalidInput, kind)
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The text of url.Error repeats the whole URL, secrets included.
		return nil, fmt.Errorf("%w: %s is not a URL", ErrInvalidInput, kind)
	}
	if err := httpx.CheckHTTP(u); err != nil {
		return nil, fmt.Errorf("%w: %s %s: %v", ErrInvalidInput, kind, httpx.RedactURL(u), err)
	}
	u.Fragment, u.RawFragment = "", ""
	u.RawQuery = escapeQuery(u.RawQuery)
	return u, nil
}

// resolveLocation resolves the Location header of a creation, which may be
// relative, against the URL that answered (protocol section Creation, POST).
// Credentials in it are dropped: they would be the server's, not the caller's.
func resolveLocation(base *url.URL, location string) (*url.URL, error) {
	ref, err := url.Parse(strings.TrimSpace(location))
	if err != nil {
		return nil, fmt.Errorf("%w: Location is not a URL", ErrProtocol)
	}
	u := base.ResolveReference(ref)
	if err := httpx.CheckHTTP(u); err != nil {
		return nil, fmt.Errorf("%w: Location %s: %v", ErrProtocol, httpx.RedactURL(u), err)
	}
	u.User = nil
	u.Fragment, u.RawFragment = "", ""
	u.RawQuery = escapeQuery(u.RawQuery)
	return u, nil
}

// escapeQuery escapes the bytes that no URL may have in its query, as browsers do.
// Package url takes the query as it is, and a record of the upload cannot hold what
// is not UTF-8, nor a request line a space. All else stays as it is, since it may be
// signed.
func escapeQuery(query string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(query) {
		switch c := query[i]; {
		case c <= ' ' || c >= 0x7f || strings.IndexByte(`"#<>`, c) >= 0:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
