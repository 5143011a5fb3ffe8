package tus

import (
	"fmt"
	"net/url"
	"strings"
)

// origin is scheme, host and port: what decides whether the caller's headers
// may be sent to a URL.
type origin struct{ scheme, host, port string }

func originOf(u *url.URL) origin {
	o := origin{scheme: strings.ToLower(u.Scheme), host: strings.ToLower(u.Hostname()), port: u.Port()}
	if o.port == "" {
		switch o.scheme {
		case "http":
			o.port = "80"
		case "https":
			o.port = "443"
		}
	}
	return o
}

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
	if err := checkHTTP(u); err != nil {
		return nil, fmt.Errorf("%w: %s %s: %v", ErrInvalidInput, kind, redactURL(u), err)
	}
	u.Fragment, u.RawFragment = "", ""
	u.RawQuery = escapeQuery(u.RawQuery)
	return u, nil
}

func checkHTTP(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme must be http or https, not %q", u.Scheme)
	case u.Hostname() == "":
		return fmt.Errorf("no host")
	}
	return nil
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
	if err := checkHTTP(u); err != nil {
		return nil, fmt.Errorf("%w: Location %s: %v", ErrProtocol, redactURL(u), err)
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

// redactURL is u without what may be secret: userinfo, query and fragment, and all that
// follows the scheme where that is not told apart, as in "user:password@host".
func redactURL(u *url.URL) string {
	r := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.Opaque != "" {
		r.Opaque = "[redacted]"
	}
	return r.String()
}
