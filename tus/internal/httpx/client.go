package httpx

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// CallerHeader returns a copy of h, the header fields that a caller adds to requests, with
// canonical names. It adds basic authentication for user, which may be nil, unless h has
// Authorization. It returns an error if a field of h is invalid or reserved; the error
// contains no value.
func CallerHeader(h http.Header, user *url.Userinfo, reserved func(name string) bool) (http.Header, error) {
	if err := ValidHeaders(h); err != nil {
		return nil, err
	}
	header := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(h)) { // two spellings of a name keep one order
		values, canonical := h[name], textproto.CanonicalMIMEHeaderKey(name)
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

// AddHeader adds the result of CallerHeader to req.
func AddHeader(req *http.Request, h http.Header) {
	for name, values := range h {
		if name == "Host" {
			req.Host = values[0]
			continue
		}
		req.Header[name] = slices.Clone(values)
	}
}

// WithoutRedirects returns a copy of client that returns redirects as responses.
func WithoutRedirects(client http.Client) *http.Client {
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// IsRedirect reports whether status is that of a redirect with a Location to follow.
func IsRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// ErrLocation is returned when the Location of a redirect is missing or not a URL.
var ErrLocation = errors.New("redirect without a valid Location")

// DoError returns an error of http.Client.Do without the URLs in its text.
func DoError(err error) error {
	err = StripURL(err)
	// http.Client parses Location even if it does not follow redirects, and its error
	// contains the whole URL.
	if strings.HasPrefix(err.Error(), "failed to parse Location header") {
		return ErrLocation
	}
	return err
}
