package httpsource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

const (
	userAgent    = "tus-go"
	maxRedirects = 10
)

// follow is get from one address. It follows redirects. Options.Header is sent until one
// leaves the origin of the URL, and not again if another leads back there: another server
// would choose the URL that is requested with it.
func (s *Source) follow(ctx context.Context, at *address, header http.Header) (*flow, error) {
	target, away := at.url, httpx.Origin{}
	for range maxRedirects + 1 {
		f, err := s.send(ctx, at, target, away, header)
		if err != nil {
			return nil, err
		}
		if !httpx.IsRedirect(f.resp.StatusCode) {
			return f, nil
		}
		f.close()
		if target, err = at.redirected(f, target); err != nil {
			return nil, err
		}
		if o := httpx.OriginOf(target); away == (httpx.Origin{}) && o != httpx.OriginOf(at.url) {
			away = o
		}
	}
	return nil, &tus.Error{Method: http.MethodGet, URL: at.redactor.URL(at.url), Err: fmt.Errorf("more than %d redirects", maxRedirects)}
}

// redirected returns the URL to which the response to a request for from redirects.
func (a *address) redirected(f *flow, from *url.URL) (*url.URL, error) {
	location := f.resp.Header.Get("Location")
	if location == "" {
		return nil, f.failed(httpx.ErrLocation)
	}
	to, err := httpx.Resolve(from, location)
	if err != nil {
		return nil, f.failed(fmt.Errorf("redirect: %w", err))
	}
	a.redactor.NoteEcho(f.secrets(), from, to)
	if from.Scheme == "https" && to.Scheme == "http" {
		return nil, f.failed(fmt.Errorf("redirect from https to %s", a.redactor.URL(to)))
	}
	return to, nil
}

// send sends one request. The response is bound to ctx until it is bound to another.
// away is the first other origin that redirects led to.
func (s *Source) send(ctx context.Context, at *address, target *url.URL, away httpx.Origin, header http.Header) (*flow, error) {
	if ctx.Err() != nil {
		return nil, async.ContextError(ctx)
	}
	reqCtx, cancel := context.WithCancelCause(untraced{context.WithoutCancel(ctx)})
	f := &flow{url: at.redactor.URL(target), ctx: reqCtx, cancel: cancel, stall: s.stall}
	req, err := http.NewRequestWithContext(reqCtx, http.MethodGet, target.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("%w: %s cannot be requested", tus.ErrInvalidInput, f.url)
	}
	req.Header.Set("User-Agent", userAgent)
	if away == (httpx.Origin{}) {
		httpx.AddHeader(req, at.header)
	} else if len(at.header) > 0 {
		f.withheld = away
	}
	for name, values := range header {
		req.Header[name] = values
	}
	// It also keeps net/http from decompressing, which would change lengths.
	req.Header.Set("Accept-Encoding", "identity")

	f.secrets = at.redactor.Sent(s.client, req)
	f.bind(ctx)
	f.arm()
	f.resp, err = s.client.Do(req)
	f.disarm()
	if err != nil {
		f.close()
		if ctx.Err() != nil {
			return nil, async.ContextError(ctx)
		}
		return nil, f.broken(err)
	}
	f.left = f.resp.ContentLength
	return f, nil
}

// untraced hides the traces of the context that Open was called with. They are for the
// request to the tus server, and must not report connections to the source.
type untraced struct{ context.Context }

func (c untraced) Value(key any) any {
	v := c.Context.Value(key)
	if _, ok := v.(*httptrace.ClientTrace); ok {
		return nil
	}
	return v
}

// identityOf returns u with a hash of its query, which may be secret: the identity may be
// stored as part of a fingerprint of the caller.
func identityOf(u *url.URL) string {
	id := httpx.OriginOf(u).URL()
	id.Path, id.RawPath = u.Path, u.RawPath
	if id.Path == "" {
		id.Path = "/"
	}
	if u.RawQuery == "" {
		return id.String()
	}
	sum := sha256.Sum256([]byte(u.RawQuery))
	return id.String() + "?" + hex.EncodeToString(sum[:16])
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
		return part, f.failed(fmt.Errorf("Content-Range is %s", httpx.QuoteShort(value)))
	}
	if length := f.resp.ContentLength; length >= 0 && length != part.end-part.start {
		return part, f.failed(fmt.Errorf("Content-Length is %d, Content-Range %s", length, httpx.QuoteShort(value)))
	}
	return part, nil
}

func parseContentRange(value string) (part byteRange, ok bool) {
	spec, total, ok := splitContentRange(value)
	if !ok {
		return part, false
	}
	first, last, ok := strings.Cut(spec, "-")
	start, startOK := httpx.ParseDigits(first)
	end, endOK := httpx.ParseDigits(last)
	if !ok || !startOK || !endOK || end < start {
		return part, false
	}
	part.start, part.end = start, end+1 // may overflow, but not if total is known
	if total == "*" {
		return part, true
	}
	part.total, part.sized = httpx.ParseDigits(total)
	return part, part.sized && end < part.total
}

// unsatisfied reads the total of a Content-Range in a 416.
func unsatisfied(h http.Header) (total int64, ok bool) {
	spec, text, ok := splitContentRange(h.Get("Content-Range"))
	if !ok || spec != "*" {
		return 0, false
	}
	return httpx.ParseDigits(text)
}

func splitContentRange(value string) (spec, total string, ok bool) {
	unit, rest, ok := strings.Cut(strings.TrimSpace(value), " ")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return "", "", false
	}
	return strings.Cut(strings.TrimSpace(rest), "/")
}
