// Package httpx holds what packages tus and httpsource share about HTTP: which
// URLs are of one origin, how URLs and errors are shown without secrets, and how
// header fields are checked and read.
package httpx

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Origin is scheme, host and port: what decides whether the caller's headers
// may be sent to a URL. Origins are compared with ==.
type Origin struct{ scheme, host, port string }

// OriginOf returns the origin of u, with the default port where u has none.
func OriginOf(u *url.URL) Origin {
	o := Origin{scheme: strings.ToLower(u.Scheme), host: strings.ToLower(u.Hostname()), port: u.Port()}
	if o.port == "" {
		o.port = defaultPort(o.scheme)
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

// CheckHTTP returns an error unless u is an http or https URL with a host.
func CheckHTTP(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme must be http or https, not %q", u.Scheme)
	case u.Hostname() == "":
		return errors.New("no host")
	}
	return nil
}

// RedactURL returns u without userinfo, query and fragment, and without all that
// follows the scheme where that is not told apart, as in "user:password@host".
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
