// Package httpx contains the HTTP code that packages tus and httpsource share: it compares
// origins, removes secrets from URLs and errors, and checks and parses header fields.
package httpx

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Origin is the scheme, host and port of a URL. It decides whether the caller's headers may
// be sent there. Origins are compared with ==. The zero value is no origin.
type Origin struct{ scheme, host, port string }

// OriginOf returns the origin of u, a result of ParseURL or Resolve, with the default port
// if u has none. net/http dials the same address for all URLs of one origin.
func OriginOf(u *url.URL) Origin {
	o := Origin{scheme: u.Scheme, host: LowerASCII(u.Hostname()), port: cmp.Or(u.Port(), defaultPort(u.Scheme))}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		o.host = ip.String() // IPv6 has several forms
	}
	return o
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

// URL returns the URL of o, without a path and without a default port.
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

// ParseURL parses an http or https URL and normalizes it: the host is in ASCII, there is no
// fragment, and invalid bytes in the query are escaped. Error texts name the URL by kind
// and contain neither credentials nor the query.
func ParseURL(kind, raw string) (*url.URL, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return nil, fmt.Errorf("no %s", kind)
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The text of url.Error contains the whole URL with its secrets.
		return nil, fmt.Errorf("%s is not a URL", kind)
	}
	if err := normalize(u); err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, RedactURL(u), err)
	}
	return u, nil
}

// Resolve resolves a Location header, which may be relative, against the URL of the
// request, and normalizes the result like ParseURL. It drops userinfo, which would be
// credentials that the server chose.
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

// keepZone adds the zone of an IPv6 address in base to the same address in u. The Host
// header has no zone (RFC 6874, section 4), so a server cannot include it in a Location.
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

// escapePath escapes invalid bytes in the path of a URL, which servers send if they name
// uploads after files: "/files/50%off", spaces, control characters and bytes beyond ASCII.
// It drops the fragment.
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
		_, err := url.PathUnescape(path[i:min(i+3, len(path))])
		return c <= ' ' || c >= 0x7f || c == '%' && err != nil
	})
	if hasQuery {
		escaped += "?" + query
	}
	return escaped
}

// escapeQuery escapes the invalid bytes in a query, as browsers do. Package url does not
// change the query, but a request line cannot contain a space, and the record of an upload
// only UTF-8. All other bytes stay unchanged, because the query may be signed.
func escapeQuery(query string) string {
	return escape(query, func(i int) bool {
		c := query[i]
		return c <= ' ' || c >= 0x7f || strings.IndexByte(`"#<>`, c) >= 0
	})
}

// escape escapes the bytes of s at the indexes for which at returns true.
func escape(s string, at func(i int) bool) string {
	var b strings.Builder
	for i := range len(s) {
		if at(i) {
			fmt.Fprintf(&b, "%%%02X", s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// RedactURL returns u without userinfo, query and fragment. It keeps only the scheme of an
// opaque URL: package url parses "user:password@host" as one.
func RedactURL(u *url.URL) string {
	r := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.Opaque != "" {
		r.Opaque = "[redacted]"
	}
	return r.String()
}

// StripURL returns the cause of an error of net/http: the text of url.Error contains the
// whole URL, whose query may be secret.
func StripURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
