package httpx

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// hostASCII returns host, with an optional port, in ASCII, as net/http dials it. Other
// implementations may map letters beyond ASCII to another host. It returns an error if
// net/http cannot dial the host.
func hostASCII(host string) (string, error) {
	u := url.URL{Host: host}
	name := u.Hostname()
	if isASCII(host) {
		// net/http forms the address in this way, and cannot dial a name with a bracket.
		if _, _, err := net.SplitHostPort(net.JoinHostPort(name, "80")); err != nil {
			return "", errBadHost
		}
		return host, nil
	}
	if strings.Contains(name, ":") { // only in an IPv6 address, which is ASCII
		return "", errBadHost
	}
	ascii, err := dialedName(name)
	if err != nil {
		return "", err
	}
	return ascii + strings.TrimPrefix(host, name), nil
}

var (
	errNotDialed = errors.New("not dialed")
	errBadHost   = errors.New("host is not a valid domain name")
)

// dialedName returns the ASCII form of a host name beyond ASCII (IDNA, RFC 5891). net/http
// does not export its tables, so dialedName takes the name from the address that a
// transport dials. The dial always fails, and nothing is sent.
func dialedName(name string) (string, error) {
	var address string
	transport := http.Transport{DialContext: func(_ context.Context, _, dialed string) (net.Conn, error) {
		address = dialed
		return nil, errNotDialed
	}}
	req := http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: name}, Header: http.Header{}}
	if resp, err := transport.RoundTrip(&req); err == nil {
		resp.Body.Close()
	}
	ascii, _, err := net.SplitHostPort(address)
	// net/http dials a name that it cannot convert unchanged.
	if err != nil || ascii == "" || strings.ContainsFunc(ascii, func(r rune) bool { return !isNameRune(r) }) {
		return "", errBadHost
	}
	return ascii, nil
}

func isNameRune(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '_'
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}
