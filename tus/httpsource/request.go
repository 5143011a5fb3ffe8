package httpsource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

const (
	userAgent    = "tus-go"
	maxRedirects = 10
)

// get asks for the data and returns the answer once its header is there,
// whatever its status. It follows redirects.
func (s *Source) get(ctx context.Context, header http.Header) (*flow, error) {
	target := s.url
	for range maxRedirects + 1 {
		f, err := s.send(ctx, target, header)
		if err != nil {
			return nil, err
		}
		if !redirects(f.resp.StatusCode) {
			return f, nil
		}
		f.close()
		if target, err = f.redirected(target); err != nil {
			return nil, err
		}
	}
	return nil, &tus.Error{Method: http.MethodGet, URL: redactURL(s.url), Err: fmt.Errorf("more than %d redirects", maxRedirects)}
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

var errLocation = errors.New("redirect without a valid Location")

// redirected is where an answer leads to.
func (f *flow) redirected(from *url.URL) (*url.URL, error) {
	ref, err := url.Parse(strings.TrimSpace(f.resp.Header.Get("Location")))
	if err != nil || ref.String() == "" {
		return nil, f.failed(errLocation)
	}
	to := from.ResolveReference(ref)
	to.User = nil // would be the server's, not the caller's
	to.Fragment, to.RawFragment = "", ""
	if err := checkHTTP(to); err != nil {
		return nil, f.failed(fmt.Errorf("redirect to %s: %w", redactURL(to), err))
	}
	if from.Scheme == "https" && to.Scheme == "http" {
		return nil, f.failed(fmt.Errorf("redirect from https to %s", redactURL(to)))
	}
	return to, nil
}

// send is one request. The answer is bound to ctx until it is bound to another.
func (s *Source) send(ctx context.Context, target *url.URL, header http.Header) (*flow, error) {
	if ctx.Err() != nil {
		return nil, contextError(ctx)
	}
	reqCtx, cancel := context.WithCancelCause(untraced{context.WithoutCancel(ctx)})
	f := &flow{url: redactURL(target), ctx: reqCtx, cancel: cancel, stall: s.stall}
	req, err := http.NewRequestWithContext(reqCtx, http.MethodGet, target.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("%w: %s cannot be requested", tus.ErrInvalidInput, f.url)
	}
	req.Header.Set("User-Agent", userAgent)
	if originOf(target) == originOf(s.url) {
		s.addCallerHeaders(req)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	// Asking for it also keeps net/http from decompressing, which would change
	// lengths.
	req.Header.Set("Accept-Encoding", "identity")

	f.bind(ctx)
	f.arm()
	f.resp, err = s.client.Do(req)
	f.disarm()
	if err != nil {
		f.close()
		if ctx.Err() != nil {
			return nil, contextError(ctx)
		}
		return nil, f.broken(err)
	}
	f.left = f.resp.ContentLength
	return f, nil
}

// addCallerHeaders adds Options.Header.
func (s *Source) addCallerHeaders(req *http.Request) {
	for name, values := range s.header {
		if name == "Host" {
			req.Host = values[0]
			continue
		}
		req.Header[name] = append([]string(nil), values...)
	}
}

// untraced hides the traces of the context that Open was called with: they are
// for the request to the tus server, of which a connection to the source would
// be mistaken for its own.
type untraced struct{ context.Context }

func (c untraced) Value(key any) any {
	v := c.Context.Value(key)
	if _, ok := v.(*httptrace.ClientTrace); ok {
		return nil
	}
	return v
}

// origin is scheme, host and port: what decides whether the caller's headers
// may be sent to a URL.
type origin struct{ scheme, host, port string }

func originOf(u *url.URL) origin {
	o := origin{scheme: strings.ToLower(u.Scheme), host: strings.ToLower(u.Hostname()), port: u.Port()}
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

// parseURL parses the caller's URL. Errors name no credentials and no query.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		// The text of url.Error repeats the whole URL, secrets included.
		return nil, fmt.Errorf("%w: source is not a URL", tus.ErrInvalidInput)
	}
	if err := checkHTTP(u); err != nil {
		return nil, fmt.Errorf("%w: source URL %s: %w", tus.ErrInvalidInput, redactURL(u), err)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

func checkHTTP(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme must be http or https, not %q", u.Scheme)
	case u.Hostname() == "":
		return errors.New("no host")
	}
	return nil
}

// redactURL is u without what may be secret: userinfo, query and fragment.
func redactURL(u *url.URL) string {
	r := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return r.String()
}

// identityOf is what tells u from other URLs. It may get into a fingerprint of the
// caller's, and so into a store, so that of the query, which may be secret, it has
// only a hash.
func identityOf(u *url.URL) string {
	o := originOf(u)
	host := o.host
	if strings.Contains(host, ":") { // IPv6
		host = "[" + host + "]"
	}
	if o.port != defaultPort(o.scheme) {
		host += ":" + o.port
	}
	id := url.URL{Scheme: o.scheme, Host: host, Path: u.Path, RawPath: u.RawPath}
	if id.Path == "" {
		id.Path = "/"
	}
	if u.RawQuery == "" {
		return id.String()
	}
	sum := sha256.Sum256([]byte(u.RawQuery))
	return id.String() + "?" + hex.EncodeToString(sum[:16])
}

// validHeader reports whether a header field of the caller can be sent as it is.
// CR, LF and other control characters would let a value forge headers.
func validHeader(name string, values []string) error {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isTokenRune(r) }) {
		return fmt.Errorf("%w: header name %s", tus.ErrInvalidInput, quoteShort(name))
	}
	for _, value := range values {
		for i := range len(value) {
			if c := value[i]; c != '\t' && (c < ' ' || c == 0x7f) {
				// The value may be a secret, so only its name is told.
				return fmt.Errorf("%w: control character in the value of header %s", tus.ErrInvalidInput, name)
			}
		}
	}
	return nil
}

// isTokenRune is the token rule of RFC 9110, 5.6.2.
func isTokenRune(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return true
	}
	return strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// byteRange is a Content-Range: the bytes from start up to, but not including,
// end, of total.
type byteRange struct {
	start, end, total int64
	sized             bool // total is known
}

// contentRange reads the Content-Range of a 206 (RFC 9110, 14.4), and compares
// it with the length of the body.
func (f *flow) contentRange() (byteRange, error) {
	value := f.resp.Header.Get("Content-Range")
	part, ok := parseContentRange(value)
	if !ok || len(f.resp.Header.Values("Content-Range")) > 1 {
		return part, f.failed(fmt.Errorf("Content-Range is %s", quoteShort(value)))
	}
	if length := f.resp.ContentLength; length >= 0 && length != part.end-part.start {
		return part, f.failed(fmt.Errorf("Content-Length is %d, Content-Range %s", length, quoteShort(value)))
	}
	return part, nil
}

func parseContentRange(value string) (part byteRange, ok bool) {
	spec, total, ok := splitContentRange(value)
	if !ok {
		return part, false
	}
	first, last, ok := strings.Cut(spec, "-")
	start, startOK := parseDigits(first)
	end, endOK := parseDigits(last)
	if !ok || !startOK || !endOK || end < start {
		return part, false
	}
	part.start, part.end = start, end+1 // may overflow, but not if total is known
	if total == "*" {
		return part, true
	}
	part.total, part.sized = parseDigits(total)
	return part, part.sized && end < part.total
}

// unsatisfied reads the total of a Content-Range in a 416.
func unsatisfied(h http.Header) (total int64, ok bool) {
	spec, text, ok := splitContentRange(h.Get("Content-Range"))
	if !ok || spec != "*" {
		return 0, false
	}
	return parseDigits(text)
}

func splitContentRange(value string) (spec, total string, ok bool) {
	unit, rest, ok := strings.Cut(strings.TrimSpace(value), " ")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return "", "", false
	}
	return strings.Cut(strings.TrimSpace(rest), "/")
}

// parseDigits accepts only ASCII digits; strconv.ParseInt would let "+5" and
// "-0" through.
func parseDigits(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}

// parseRetryAfter reads Retry-After in both of its forms, seconds and an HTTP
// date (RFC 9110, 10.2.3). An unreadable value counts as absent.
func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, ok := parseDigits(value); ok {
		return time.Duration(min(seconds, int64(math.MaxInt64/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// stripURL takes the URL out of errors of net/http: url.Error repeats it whole,
// with whatever secret the query holds.
func stripURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
