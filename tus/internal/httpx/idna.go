package httpx

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// hostASCII returns host, with an optional port, as net/http dials it: in ASCII.
// A URL with that host names one server to whoever looks at it, while the letters
// beyond ASCII are mapped by rules on which implementations differ. A host that
// cannot be dialed is an error.
func hostASCII(host string) (string, error) {
	u := url.URL{Host: host}
	name := u.Hostname()
	if isASCII(host) {
		// net/http makes the address in this way, and cannot dial what has a bracket.
		if _, _, err := net.SplitHostPort(net.JoinHostPort(name, "80")); err != nil {
			return "", errBadHost
		}
		return host, nil
	}
	if strings.Contains(name, ":") { // as an IPv6 address, which is ASCII
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

// dialedName returns the ASCII form of a host name beyond ASCII. Its tables (IDNA,
// RFC 5891) are a part of net/http, which shows them only by the address that a
// transport dials. Nothing is sent here: the dial always fails.
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
	// A name that cannot be converted is dialed as it is.
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
