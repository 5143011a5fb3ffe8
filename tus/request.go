package tus

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// Names of header fields that every upload protocol uses.
const (
	headerContentType    = "Content-Type"
	headerLocation       = "Location"
	headerMethodOverride = "X-Http-Method-Override"
)

const maxRedirects = 5

// request is one request of the protocol, before credentials and hooks.
type request struct {
	method string
	header http.Header // of the protocol: sent to every destination, replaces the caller's
	offset int64       // of a PATCH, for errors

	// payload is the body; nil for none. It is opened again for a redirect, or if the idle
	// connection that the transport used was closed.
	payload *send.Payload
	trailer *checksumTrailer

	// minResponse is the minimum response timeout; 0 for none.
	minResponse time.Duration
}

// size returns the number of bytes of the body.
func (r *request) size() int64 {
	if r.payload == nil {
		return 0
	}
	return r.payload.Size
}

// requester sends the requests of one upload, or requests of a [Client] that belong to no
// upload.
type requester struct {
	client   *Client
	header   http.Header // of the caller, for trusted origins
	redactor *httpx.Redactor
	hooks    hookSet
	counters *counters // nil counts nothing
	// revision returns that of the record of the upload; nil or 0 for none.
	revision func() int64
	// checkLease interrupts the upload if its lease is over; nil for none.
	checkLease func(context.Context)
}

// requester returns a requester for requests that belong to no upload.
func (c *Client) requester() requester {
	return requester{client: c, header: c.header, redactor: &c.redactor, hooks: hookSet{hooks: c.hooks, mu: new(sync.Mutex)}}
}

// setHeader adds UploadOptions.Header to the requests. A field of it replaces that of the
// client.
func (q *requester) setHeader(h http.Header) error {
	own, err := httpx.CallerHeader(h, nil, reservedHeader)
	if err != nil {
		return fmt.Errorf("%w: UploadOptions.Header: %w", ErrInvalidInput, err)
	}
	q.header, q.redactor = q.client.header, &q.client.redactor
	if len(h) == 0 {
		return nil
	}
	q.header = maps.Clone(q.header)
	for name := range h { // also one without values
		delete(q.header, textproto.CanonicalMIMEHeaderKey(name))
	}
	maps.Copy(q.header, own)
	q.redactor = q.redactor.With(own)
	return nil
}

// showURL returns a URL without secrets, or "" if raw is not a URL.
func (q requester) showURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || raw == "" {
		return ""
	}
	return q.redactor.URL(u)
}

// do sends r to u and returns the response with any status except that of a redirect. It
// follows redirects that keep method and body, sends the caller's header only to trusted
// origins, and cuts a connection on which no data moves. Errors are *Error, or the error of
// ctx.
func (q requester) do(ctx context.Context, u *url.URL, r *request) (*reply, error) {
	c := q.client
	to := c.destination(destination{}, u)
	for range maxRedirects + 1 {
		start := time.Now()
		got, err := q.exchange(ctx, r, to)
		if err == nil && got.StatusCode == http.StatusMisdirectedRequest {
			// The connection may be to another host: retry once on a new one.
			c.CloseIdleConnections()
			got, err = q.exchange(ctx, r, to)
		}
		if err != nil {
			return nil, err
		}
		if took := time.Since(start); r.payload == nil {
			c.limit.answered(took)
		} else if got.succeeded() { // a refusal may arrive before all bytes were sent
			c.rate.measure(got.sent, took)
		}
		if !httpx.IsRedirect(got.StatusCode) {
			return got, nil
		}
		next, err := c.redirected(got)
		if err != nil {
			return nil, got.fail(c.protocol.explain(got, err))
		}
		to = next
	}
	return nil, &Error{Method: r.method, URL: q.redactor.URL(u), Offset: r.offset,
		Err: fmt.Errorf("%w: more than %d redirects", ErrProtocol, maxRedirects)}
}

// redirected returns the destination of a redirect.
func (c *Client) redirected(r *reply) (destination, error) {
	location := r.Header.Get(headerLocation)
	if location == "" {
		return destination{}, fmt.Errorf("%w: %w", ErrProtocol, httpx.ErrLocation)
	}
	if !r.keepsMethod() {
		to, err := resolveLocation(r.to.url, location)
		if err != nil {
			return destination{}, err
		}
		return destination{}, fmt.Errorf("%w: redirect of %s to %s, which does not keep the method", ErrProtocol, r.request.method, r.redactor.URL(to))
	}
	next, err := c.follow(r, location)
	if err != nil {
		return destination{}, err
	}
	if httpx.OriginOf(next.url) == httpx.OriginOf(r.to.url) {
		next.url.User = r.to.url.User // chosen by the caller; the userinfo of a Location is dropped
	}
	return next, nil
}

// keepsMethod reports whether a redirect keeps the method. After a POST, 301 and 302 may
// change it (RFC 9110, 15.4.2), and 303 always changes it to GET.
func (r *reply) keepsMethod() bool {
	switch r.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound:
		return r.request.method != http.MethodPost && !r.overridden
	}
	return r.StatusCode != http.StatusSeeOther
}

// responseTimeoutOf returns how long the response to r may take after all bytes of r were
// sent. A server may need minutes only for a request that carries bytes or completes an
// upload; without data, the connection of any other request is dead.
func (c *Client) responseTimeoutOf(r *request) time.Duration {
	carries := r.payload != nil && r.payload.Size > 0
	switch {
	case r.method != http.MethodPatch && !carries && r.minResponse == 0:
		return c.opts.StallTimeout
	case c.opts.ResponseTimeout <= 0:
		return 0
	}
	return max(c.opts.ResponseTimeout, r.minResponse)
}
