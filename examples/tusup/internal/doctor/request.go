package doctor

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxRedirects = 5
	// minRate, in bytes per second, bounds the time of a request with a large body.
	minRate = 64 * kib
	// maxBody is the number of bytes that are read of a response.
	maxBody = 4 * kib
)

// request is one request of a check.
type request struct {
	method string
	url    *url.URL
	header map[string]string
	// body is nil for none. It is called again after a redirect.
	body func() io.Reader
	size int64
	// trailer is the checksum that follows the body.
	trailer string
	// withheld withholds the credentials.
	withheld bool
}

// response is the response to a request.
type response struct {
	*http.Response
	text    string    // the beginning of the body
	from    *url.URL  // after redirects
	trusted bool      // all servers on the way to from were trusted
	middle  time.Time // between request and response
	took    time.Duration
	// unreachable is the error of the request to the URL of this redirect; nil if it was
	// not sent.
	unreachable error
}

// succeeded reports whether the response has a status of success.
func (r *response) succeeded() bool { return r.StatusCode >= 200 && r.StatusCode < 300 }

// redirects reports whether the response has a status of redirection.
func (r *response) redirects() bool { return r.StatusCode >= 300 && r.StatusCode < 400 }

// wantsCredentials reports whether the response refuses the credentials, or that there are
// none.
func (r *response) wantsCredentials() bool {
	return r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusForbidden
}

// isTus reports whether a tus server sent the response.
func (r *response) isTus() bool {
	return r.Header.Get("Tus-Resumable") != "" || r.Header.Get("Tus-Version") != ""
}

// date returns the time of the response by the clock of the server.
func (r *response) date() time.Time {
	if t, err := http.ParseTime(r.Header.Get("Date")); err == nil {
		return t
	}
	return r.middle
}

// silentError is returned when no data moved for the timeout.
type silentError struct{ timeout time.Duration }

func (e silentError) Error() string { return fmt.Sprintf("no data moved for %v", e.timeout) }

// send sends a request and follows redirects that keep the method, as package tus does.
func (s *session) send(ctx context.Context, r request) (*response, error) {
	to, trusted := r.url, !r.withheld && s.trusts(r.url)
	var redirect *response
	for hops := 0; ; hops++ {
		if s.timeouts >= maxTimeouts && !s.cleaning {
			return nil, silentError{s.config.Timeout}
		}
		resp, err := s.exchange(ctx, r, to, trusted)
		switch {
		case err != nil && redirect == nil:
			return nil, err
		case err != nil:
			redirect.unreachable = err
			return redirect, nil
		}
		if t, err := http.ParseTime(resp.Header.Get("Upload-Expires")); err == nil {
			s.expires = t.Sub(resp.date())
		}
		next := s.next(resp, r.method)
		if next == nil || hops == maxRedirects {
			return resp, nil
		}
		if s.redirect == "" {
			s.redirect = fmt.Sprintf("%s is redirected (%d) to %s", r.method, resp.StatusCode, show(next))
		}
		redirect, to, trusted = resp, next, trusted && s.trusts(next)
	}
}

// next returns where a redirect leads that keeps the method, nil if resp is not one.
func (s *session) next(resp *response, method string) *url.URL {
	switch resp.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	case http.StatusMovedPermanently, http.StatusFound:
		if method == http.MethodPost || method == http.MethodPatch && s.advice.override {
			return nil
		}
	default:
		return nil
	}
	next, err := resp.location()
	if err != nil || resp.from.Scheme == "https" && next.Scheme == "http" && !s.trusts(next) {
		return nil
	}
	return next
}

// location resolves the Location of a response.
func (r *response) location() (*url.URL, error) {
	raw := strings.TrimSpace(r.Header.Get("Location"))
	if raw == "" {
		return nil, errors.New("the response has no Location")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the Location is not a URL")
	}
	u = r.from.ResolveReference(u)
	u.User, u.Fragment = nil, ""
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the Location is not an http or https URL")
	}
	return u, nil
}

// exchange sends a request to one server.
func (s *session) exchange(ctx context.Context, r request, to *url.URL, trusted bool) (*response, error) {
	timeout := s.config.Timeout
	silent := silentError{timeout}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, timeout+time.Duration(r.size/minRate)*time.Second, silent)
	defer stop()
	timer := time.AfterFunc(timeout, func() { cancel(silent) })
	defer timer.Stop()

	req, err := s.newRequest(ctx, r, to, trusted, func() { timer.Reset(timeout) })
	if err != nil {
		return nil, err
	}
	start := time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, s.noResponse(ctx, err)
	}
	defer resp.Body.Close()
	took := time.Since(start)
	timer.Reset(timeout)
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody)) // an error leaves less text
	return &response{
		Response: resp, text: string(text), from: to, trusted: trusted, middle: start.Add(took / 2), took: took,
	}, nil
}

// newRequest returns the request with the credentials, if to may receive them.
func (s *session) newRequest(ctx context.Context, r request, to *url.URL, trusted bool, moved func()) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, to.String(), nil)
	if err != nil {
		return nil, cause(err)
	}
	if trusted {
		for name, values := range s.config.Header {
			if name == "Host" {
				req.Host = values[0]
				continue
			}
			req.Header[name] = slices.Clone(values)
		}
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "tusup-doctor")
	}
	if r.method != http.MethodOptions {
		req.Header.Set("Tus-Resumable", "1.0.0")
	}
	if r.method == http.MethodPatch && s.advice.override {
		req.Method = http.MethodPost
		req.Header.Set("X-HTTP-Method-Override", r.method)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	if r.body == nil {
		return req, nil
	}
	req.ContentLength = r.size
	if r.size == 0 {
		req.Body = http.NoBody
		return req, nil
	}
	if r.trailer != "" {
		req.ContentLength = -1 // HTTP/1.1 has trailers only after a chunked body
		req.Trailer = http.Header{"Upload-Checksum": {r.trailer}}
	}
	req.Body = io.NopCloser(&movingReader{r.body(), moved})
	return req, nil
}

// noResponse returns the error for a request without a response.
func (s *session) noResponse(ctx context.Context, err error) error {
	var silent silentError
	if errors.As(context.Cause(ctx), &silent) {
		s.timeouts++
		return silent
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		s.timeouts++
	}
	return cause(err)
}

// cause returns an error of net/http without the URL, whose query may be secret.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// movingReader calls moved for each read.
type movingReader struct {
	io.Reader
	moved func()
}

func (r *movingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.moved()
	return n, err
}

func withoutRedirects(client *http.Client) *http.Client {
	c := http.Client{}
	if client != nil {
		c = *client
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// trusts reports whether the credentials may be sent to u.
func (s *session) trusts(u *url.URL) bool { return slices.Contains(s.trusted, origin(u)) }

// origin returns scheme, host and port of u.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// show returns u without user, query and fragment.
func show(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// withoutUser returns u without user. It keeps the query, which may be needed to delete
// the upload.
func withoutUser(u *url.URL) string {
	c := *u
	c.User = nil
	return c.String()
}

// secretsOf returns the credentials of a header and a URL with their parts, the longest
// first. Short ones occur in texts by chance.
func secretsOf(header http.Header, u *url.URL) []string {
	var values []string
	for name, all := range header {
		if mayBeSecret(name) {
			values = append(values, all...)
		}
	}
	if password, ok := u.User.Password(); ok {
		values = append(values, password)
	}
	for _, all := range u.Query() {
		values = append(values, all...)
	}
	var secrets []string
	for _, value := range values {
		parts := append([]string{value}, strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t,;=\"", r) })...)
		for _, part := range parts {
			if plain, err := base64.StdEncoding.DecodeString(part); err == nil && len(part) >= 6 {
				_, password, _ := strings.Cut(string(plain), ":")
				parts = append(parts, password)
			}
		}
		secrets = append(secrets, parts...)
	}
	for _, secret := range slices.Clone(secrets) {
		secrets = append(secrets, url.QueryEscape(secret), url.PathEscape(secret))
	}
	secrets = slices.DeleteFunc(secrets, func(secret string) bool {
		return len(secret) < 6 || secret == "Bearer" || secret == "Digest"
	})
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return secrets
}
