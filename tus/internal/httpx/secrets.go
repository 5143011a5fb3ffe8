package httpx

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Secrets are values that a server might repeat, and that no text may show.
type Secrets []string

// Add adds a value and its parts: "Bearer TOKEN" may come back as TOKEN alone,
// "session=TOKEN" as well. A value of less than 6 bytes tells nothing, and is left
// out.
func (s *Secrets) Add(value string) {
	const least = 6
	for _, part := range append([]string{value}, strings.FieldsFunc(value, isSeparator)...) {
		if len(part) >= least {
			*s = append(*s, part)
		}
	}
	s.sort()
}

// sort puts the longest first, so that no part of one is left standing.
func (s *Secrets) sort() {
	slices.SortFunc(*s, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	*s = slices.Compact(*s)
}

// and returns the secrets of both in a new list.
func (s Secrets) and(others Secrets) Secrets {
	all := slices.Concat(s, others)
	all.sort()
	return all
}

func isSeparator(r rune) bool { return strings.ContainsRune(" \t,;=\"", r) }

// AddLogin adds a user with its password, also as Basic authentication has them.
func (s *Secrets) AddLogin(user *url.Userinfo) {
	if user == nil {
		return
	}
	password, _ := user.Password()
	plain := user.Username() + ":" + password
	s.Add(plain)
	s.Add(password)
	s.Add("Basic " + base64.StdEncoding.EncodeToString([]byte(plain)))
	s.Add(user.String())
}

// AddHeader adds the values of h, but for the fields that are not secret.
func (s *Secrets) AddHeader(h http.Header) {
	for name, values := range h {
		if isPublic(name) {
			continue
		}
		for _, value := range values {
			s.Add(value)
		}
	}
	r := http.Request{Header: h}
	if user, password, ok := r.BasicAuth(); ok {
		s.AddLogin(url.UserPassword(user, password))
	}
}

// isPublic tells the request headers that hold no secret.
func isPublic(name string) bool {
	switch name {
	case "Content-Type", "X-Http-Method-Override", "Accept", "Accept-Encoding", "User-Agent", "Host", "Origin":
		return true
	}
	return IsProtocolHeader(name)
}

// AddRequest adds what req sends: the values of its header, its userinfo, which
// net/http makes an Authorization, the values of its query, and the cookies that
// http.Client adds from jar, which may be nil.
func (s *Secrets) AddRequest(req *http.Request, jar http.CookieJar) {
	s.AddHeader(req.Header)
	s.AddLogin(req.URL.User)
	if jar != nil {
		for _, cookie := range jar.Cookies(req.URL) {
			s.Add(cookie.Value)
		}
	}
	for _, values := range req.URL.Query() {
		for _, value := range values {
			s.Add(value)
		}
	}
	for pair := range strings.SplitSeq(req.URL.RawQuery, "&") { // as it was sent
		_, value, _ := strings.Cut(pair, "=")
		s.Add(value)
	}
}

// AddProxy adds what a proxy is sent when transport makes req: the login in the URL
// of the proxy, and ProxyConnectHeader. A transport that net/http does not know is
// taken for one that asks the environment for its proxy.
func (s *Secrets) AddProxy(transport http.RoundTripper, req *http.Request) {
	if transport == nil {
		transport = http.DefaultTransport
	}
	proxy := http.ProxyFromEnvironment
	if t, ok := transport.(*http.Transport); ok {
		s.AddHeader(t.ProxyConnectHeader)
		if proxy = t.Proxy; proxy == nil {
			return
		}
	}
	if u, err := proxy(req); err == nil && u != nil {
		s.AddLogin(u.User)
	}
}

// Clean takes the secrets out of a text, also where only the beginning of one is
// left, as what a server said may have been cut before, and where one is escaped as
// in a URL: then the rest of the text is unescaped, too.
func (s Secrets) Clean(text string) string {
	cleaned := s.clean(text)
	if plain := unescape(cleaned); plain != cleaned && s.clean(plain) != plain {
		return s.clean(plain)
	}
	return cleaned
}

func (s Secrets) clean(text string) string {
	for _, secret := range s {
		text = withoutSecret(text, secret)
	}
	return text
}

// unescape replaces all percent escapes, also of escapes, but for those of what
// would break a line or cannot be seen.
func unescape(text string) string {
	for {
		var b strings.Builder
		for i := 0; i < len(text); i++ {
			if i+2 < len(text) && text[i] == '%' {
				if c, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil && c > ' ' && c != 0x7f {
					b.WriteByte(byte(c))
					i += 2
					continue
				}
			}
			b.WriteByte(text[i])
		}
		if b.Len() == len(text) {
			return text
		}
		text = b.String()
	}
}

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

// URL returns RedactURL of u without the secrets.
func (s Secrets) URL(u *url.URL) string { return s.Clean(RedactURL(u)) }

// In returns the secrets that RedactURL of u shows.
func (s Secrets) In(u *url.URL) Secrets {
	var shown Secrets
	for _, secret := range s {
		if text := (Secrets{secret}).URL(u); text != RedactURL(u) {
			shown = append(shown, secret)
		}
	}
	return shown
}

// Redact hides the text of an error that repeats a secret, as a server may echo
// one in any header.
func (s Secrets) Redact(err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); s.Clean(text) != text {
		return &redactedError{text: s.Clean(text), err: err}
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
