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
	"sync"
)

// Secrets are values that a server may repeat and that no text may contain.
type Secrets []string

// Add adds a value and its parts: the server may repeat TOKEN of "Bearer TOKEN" or
// "session=TOKEN". Add ignores values and parts of less than 6 bytes, which occur in texts
// by chance.
func (s *Secrets) Add(value string) {
	const minLength = 6
	isSeparator := func(r rune) bool { return strings.ContainsRune(" \t,;=\"", r) }
	for _, part := range append([]string{value}, strings.FieldsFunc(value, isSeparator)...) {
		if len(part) >= minLength {
			*s = append(*s, part)
		}
	}
	s.sort()
}

// sort puts the longest first: a secret may contain another one.
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

// AddLogin adds a user name with its password, also in the form of Basic authentication.
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

// AddHeader adds the values of the fields of h that may be secret.
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

// isPublic reports whether a request header field contains no secret.
func isPublic(name string) bool {
	switch name {
	case "Content-Type", "X-Http-Method-Override", "Accept", "Accept-Encoding", "User-Agent", "Host", "Origin":
		return true
	}
	return IsProtocolHeader(name)
}

// AddRequest adds what req sends: the values of its header, its userinfo, which net/http
// sends as Authorization, the values of its query, and the cookies that http.Client adds
// from jar, which may be nil.
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
	for pair := range strings.SplitSeq(req.URL.RawQuery, "&") { // still escaped
		_, value, _ := strings.Cut(pair, "=")
		s.Add(value)
	}
}

// AddProxy adds what transport sends to a proxy for req: the login in the URL of the proxy,
// and ProxyConnectHeader. A transport that is not an *http.Transport is assumed to take its
// proxy from the environment.
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

// Clean removes the secrets from a text. It also removes the first part of a secret, as the
// text may have been cut, and secrets that are escaped as in a URL; it then unescapes the
// rest of the text, too.
func (s Secrets) Clean(text string) string {
	cleaned := s.clean(text)
	if plain := unescape(cleaned); plain != cleaned {
		if again := s.clean(plain); again != plain {
			return again
		}
	}
	return cleaned
}

func (s Secrets) clean(text string) string {
	for _, secret := range s {
		text = withoutSecret(text, secret)
	}
	return text
}

// unescape replaces all percent escapes, including escaped escapes, except those of spaces
// and control characters. Its time is linear in the length of text.
func unescape(text string) string {
	var plain []byte
	for i := range len(text) {
		plain = append(plain, text[i])
		for n := len(plain) - 3; n >= 0 && plain[n] == '%'; n = len(plain) - 3 {
			c, err := strconv.ParseUint(string(plain[n+1:]), 16, 8)
			if err != nil || c <= ' ' || c == 0x7f {
				break
			}
			plain = append(plain[:n], byte(c))
		}
	}
	return string(plain)
}

// withoutSecret removes each part of text that has at least the first 16 bytes of a
// secret, or all of a shorter one.
func withoutSecret(text, secret string) string {
	const minHead = 16
	head := secret[:min(len(secret), minHead)]
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

// In returns the secrets that RedactURL of u contains.
func (s Secrets) In(u *url.URL) Secrets {
	var shown Secrets
	for _, secret := range s {
		if text := (Secrets{secret}).URL(u); text != RedactURL(u) {
			shown = append(shown, secret)
		}
	}
	return shown
}

// Redact removes the secrets from the text of an error: a server may repeat one in any
// header.
func (s Secrets) Redact(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if cleaned := s.Clean(text); cleaned != text {
		return &redactedError{text: cleaned, err: err}
	}
	return err
}

// redactedError is an error with another text.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }

// Is and As match err. There is no Unwrap, which would return an error with the text.
func (e *redactedError) Is(target error) bool { return errors.Is(e.err, target) }
func (e *redactedError) As(target any) bool   { return errors.As(e.err, target) }

// A Redactor removes the credentials of one client from texts: those of its options, and
// those that a request sent, for example by a hook, if the server repeated them in a URL.
// That URL stays in use after the credentials were replaced. AddHeader and AddLogin must
// not be called concurrently with other methods.
type Redactor struct {
	parent  *Redactor // nil for that of a client
	options Secrets

	mu     sync.Mutex
	echoed Secrets // at most maxEchoed, repeated by the server
}

// maxEchoed limits the memory that a server can cause a client to use.
const maxEchoed = 100

// AddHeader adds the values of the caller's header.
func (r *Redactor) AddHeader(h http.Header) { r.options.AddHeader(h) }

// AddLogin adds the userinfo of the caller's URL, which may be nil.
func (r *Redactor) AddLogin(user *url.Userinfo) { r.options.AddLogin(user) }

// URL returns RedactURL of u without the secrets: a server may repeat a token in a path.
func (r *Redactor) URL(u *url.URL) string { return r.all().URL(u) }

// With returns a Redactor that also removes the values of h. It keeps the credentials that
// servers repeated together with r.
func (r *Redactor) With(h http.Header) *Redactor {
	child := &Redactor{parent: r}
	child.AddHeader(h)
	return child
}

func (r *Redactor) all() Secrets {
	if r.parent != nil {
		return r.parent.all().and(r.options)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.options.and(r.echoed)
}

// Sent returns the secrets that texts about req must not contain: those that it sends
// through client, to the server or a proxy, and those that URL removes. The returned
// function looks up the proxy in its first call only: the caller's Proxy function may
// have side effects.
func (r *Redactor) Sent(client *http.Client, req *http.Request) func() Secrets {
	sent := r.all()
	sent.AddRequest(req, client.Jar)
	return sync.OnceValue(func() Secrets {
		sent.AddProxy(client.Transport, req)
		return sent
	})
}

// NoteEcho keeps the secrets in location, a URL from a response, that are not in
// requested, the URL of its request, which the caller chose.
func (r *Redactor) NoteEcho(sent Secrets, requested, location *url.URL) {
	if r.parent != nil { // others use the URL without h
		r.parent.NoteEcho(sent, requested, location)
		return
	}
	known := r.all()
	for _, secret := range sent.In(location) {
		if len(Secrets{secret}.In(requested)) > 0 || slices.Contains(known, secret) {
			continue
		}
		r.mu.Lock()
		r.echoed = append(r.echoed, secret)
		r.echoed = r.echoed[max(0, len(r.echoed)-maxEchoed):]
		r.mu.Unlock()
	}
}
