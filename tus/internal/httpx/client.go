package httpx

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// CallerHeader returns a copy of the header fields that a caller adds to requests, with
// canonical names, and basic authentication for user, which may be nil, unless h has
// Authorization. It is an error if h has a field that is invalid or reserved. The error
// names no value.
func CallerHeader(h http.Header, user *url.Userinfo, reserved func(name string) bool) (http.Header, error) {
	if err := ValidHeaders(h); err != nil {
		return nil, err
	}
	header := http.Header{}
	for name, values := range h {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if reserved(canonical) {
			return nil, fmt.Errorf("header %s is reserved", canonical)
		}
		if len(values) > 0 {
			header[canonical] = append(header[canonical], values...)
		}
	}
	if user != nil && header.Get("Authorization") == "" {
		password, _ := user.Password()
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	return header, nil
}

// AddHeader adds a header of CallerHeader to req.
func AddHeader(req *http.Request, h http.Header) {
	for name, values := range h {
		if name == "Host" {
			req.Host = values[0]
			continue
		}
		req.Header[name] = append([]string(nil), values...)
	}
}

// WithoutRedirects returns a copy of client that returns redirects as responses.
func WithoutRedirects(client http.Client) *http.Client {
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// IsRedirect reports whether a response of the status has a Location to follow.
func IsRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// ErrLocation is returned for a redirect without a Location that is a URL.
var ErrLocation = errors.New("redirect without a valid Location")

// DoError returns an error of http.Client.Do without the URL.
func DoError(err error) error {
	err = StripURL(err)
	// A Client parses Location even if it does not follow redirects; its error repeats
	// the whole URL.
	if strings.HasPrefix(err.Error(), "failed to parse Location header") {
		return ErrLocation
	}
	return err
}
