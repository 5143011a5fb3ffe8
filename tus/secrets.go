package tus

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// clean takes the secrets out of what a server said.
func (r *request) clean(text string) string {
	for _, secret := range r.secrets {
		text = withoutSecret(text, secret)
	}
	return text
}

// withoutSecret takes a secret out of a text, also where only its beginning is
// left: what a server said may have been cut before.
func withoutSecret(text, secret string) string {
	const telling = 16
	head := secret[:min(len(secret), telling)]
	var b strings.Builder
	for {
		i := strings.Index(text, head)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		n := len(head)
		for n < len(secret) && i+n < len(text) && text[i+n] == secret[n] {
			n++
		}
		b.WriteString(text[:i])
		b.WriteString("[redacted]")
		text = text[i+n:]
	}
}

// redact hides the text of an error that repeats a secret, as a server may echo
// one in any header.
func (r *request) redact(err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); r.clean(text) != text {
		return &redactedError{text: r.clean(text), err: err}
	}
	return err
}

// redactedError is an error with another text.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }

// Is and As look through, without letting the text out.
func (e *redactedError) Is(target error) bool { return errors.Is(e.err, target) }
func (e *redactedError) As(target any) bool   { return errors.As(e.err, target) }

// secretValues collects what a server might echo into an error page: the
// values of the headers that are not the protocol's, of the query, and of the cookies
// that http.Client adds.
func secretValues(req *http.Request, jar http.CookieJar) []string {
	var secrets []string
	add := func(value string) {
		// A server that repeats a short value tells nothing.
		const least = 6
		// "Bearer TOKEN" may come back as TOKEN alone, "session=TOKEN" as well.
		for _, part := range append([]string{value}, strings.FieldsFunc(value, isSeparator)...) {
			if len(part) >= least {
				secrets = append(secrets, part)
			}
		}
	}
	for name, values := range req.Header {
		if isPublicHeader(name) {
			continue
		}
		for _, value := range values {
			add(value)
		}
	}
	if jar != nil {
		for _, cookie := range jar.Cookies(req.URL) {
			add(cookie.Value)
		}
	}
	login := func(user, password string) {
		plain := user + ":" + password
		add(plain)
		add(password)
		add(base64.StdEncoding.EncodeToString([]byte(plain)))
	}
	if user, password, ok := req.BasicAuth(); ok {
		login(user, password)
	}
	if user := req.URL.User; user != nil { // net/http makes it an Authorization
		password, _ := user.Password()
		login(user.Username(), password)
		add(user.String())
	}
	for _, values := range req.URL.Query() {
		for _, value := range values {
			add(value)
		}
	}
	for pair := range strings.SplitSeq(req.URL.RawQuery, "&") { // as it was sent
		_, value, _ := strings.Cut(pair, "=")
		add(value)
	}
	// The longest first, so that no part of one is left standing.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return secrets
}

func isSeparator(r rune) bool { return strings.ContainsRune(" \t,;=\"", r) }

// isPublicHeader tells the request headers that hold no secret.
func isPublicHeader(name string) bool {
	switch name {
	case headerContentType, headerMethodOverride, "Accept-Encoding", "User-Agent":
		return true
	}
	return strings.HasPrefix(name, "Upload-") || strings.HasPrefix(name, "Tus-")
}
