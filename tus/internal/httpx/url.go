// Package httpx holds what packages tus and httpsource share about HTTP: which
// URLs are of one origin, how URLs and errors are shown without secrets, and how
// header fields are checked and read.
package httpx

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Origin is scheme, host and port: what decides whether the caller's headers
// may be sent to a URL. Origins are compared with ==. The zero value is no origin.
type Origin struct{ scheme, host, port string }

// OriginOf returns the origin of u, which ParseURL or Resolve returned, with the
// default port where u has none. Two URLs of one origin are dialed at one address.
func OriginOf(u *url.URL) Origin {
	o := Origin{scheme: u.Scheme, host: lowerASCII(u.Hostname()), port: u.Port()}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		o.host = ip.String() // IPv6 has several forms
	}
	if o.port == "" {
		o.port = defaultPort(o.scheme)
	}
	return o
}

// lowerASCII leaves all letters beyond ASCII alone: strings.ToLower makes some of
// them ASCII, and so another host's name.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// URL returns the URL of o: no path, and no port where that is the default.
func (o Origin) URL() *url.URL {
	host := o.host
	if strings.Contains(host, ":") { // IPv6
		host = "[" + host + "]"
	}
	if o.port != defaultPort(o.scheme) {
		host += ":" + o.port
	}
	return &url.URL{Scheme: o.scheme, Host: host}
}

// String returns the origin as the text of its URL.
func (o Origin) String() string { return o.URL().String() }

// ParseURL parses an http or https URL into the form in which it is requested:
// the host in ASCII, no fragment, and nothing in the query that no URL may have.
// Errors call it kind, and name neither credentials nor the query.
func ParseURL(kind, raw string) (*url.URL, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return nil, fmt.Errorf("no %s", kind)
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The text of url.Error repeats the whole URL, secrets included.
		return nil, fmt.Errorf("%s is not a URL", kind)
	}
	if err := normalize(u); err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, RedactURL(u), err)
	}
	return u, nil
}

// Resolve resolves a Location header, which may be relative, against the URL of
// the request, and returns it in the form of ParseURL. Userinfo in it is dropped:
// it would be the server's, not the caller's.
func Resolve(base *url.URL, location string) (*url.URL, error) {
	ref, err := url.Parse(escapePath(strings.TrimSpace(location)))
	if err != nil {
		return nil, errors.New("header Location is not a URL")
	}
	u := base.ResolveReference(ref)
	u.User = nil
	if err := normalize(u); err != nil {
		return nil, fmt.Errorf("header Location %s: %w", RedactURL(u), err)
	}
	keepZone(u, base)
	return u, nil
}

func normalize(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme must be http or https, not %q", u.Scheme)
	case u.Hostname() == "":
		return errors.New("no host")
	}
	host, err := hostASCII(u.Host)
	if err != nil {
		return err
	}
	u.Host = host
	u.Fragment, u.RawFragment = "", ""
	u.RawQuery = escapeQuery(u.RawQuery)
	return nil
}

// keepZone adds the zone of an IPv6 address in base to the same address in u. A
// server does not know in which zone the client reaches it, and is not told: the
// Host header has no zone (RFC 6874, section 4).
func keepZone(u, base *url.URL) {
	here, err := netip.ParseAddr(base.Hostname())
	if err != nil || here.Zone() == "" {
		return
	}
	if there, err := netip.ParseAddr(u.Hostname()); err != nil || there != here.WithZone("") {
		return
	}
	port := u.Port()
	u.Host = "[" + here.String() + "]"
	if port != "" {
		u.Host += ":" + port
	}
}

// escapePath escapes what no URL may have in its path, but servers that name uploads
// after files send: "/files/50%off", spaces, control characters and bytes beyond ASCII.
// The fragment, which is not sent, is dropped.
func escapePath(raw string) string {
	raw, _, _ = strings.Cut(raw, "#")
	path, query, hasQuery := strings.Cut(raw, "?")
	head := ""
	if i := strings.Index(path, "//"); i >= 0 && !strings.Contains(path[:i], "/") { // scheme and host
		end := strings.IndexByte(path[i+2:], '/')
		if end < 0 {
			return raw
		}
		head, path = path[:i+2+end], path[i+2+end:]
	}
	escaped := head + escape(path, func(i int) bool {
		c := path[i]
		return c <= ' ' || c >= 0x7f || c == '%' && !isEscape(path[i:])
	})
	if hasQuery {
		escaped += "?" + query
	}
	return escaped
}

// isEscape reports whether s begins with a percent escape.
func isEscape(s string) bool {
	if len(s) < 3 || s[0] != '%' {
		return false
	}
	_, err := strconv.ParseUint(s[1:3], 16, 8)
	return err == nil
}

// escapeQuery escapes the bytes that no URL may have in its query, as browsers do.
// Package url takes the query as it is, and a record of the upload cannot hold what
// is not UTF-8, nor a request line a space. All else stays as it is, since it may be
// signed.
func escapeQuery(query string) string {
	return escape(query, func(i int) bool {
		c := query[i]
		return c <= ' ' || c >= 0x7f || strings.IndexByte(`"#<>`, c) >= 0
	})
}

// escape escapes the bytes of s at the indexes for which the function is true.
func escape(s string, at func(i int) bool) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; at(i) {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// RedactURL returns u without userinfo, query and fragment. Of an opaque URL, as
// package url parses "user:password@host", it keeps only the scheme.
func RedactURL(u *url.URL) string {
	r := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.Opaque != "" {
		r.Opaque = "[redacted]"
	}
	return r.String()
}

// StripURL takes the URL out of errors of net/http: url.Error repeats it whole,
// with whatever secret the query holds.
func StripURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
