package tus

import (
	"context"
	"fmt"
	"net/http"
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
	url    *url.URL
	header http.Header // of the protocol: sent to every destination, in place of the caller's
	offset int64       // of a PATCH, for errors

	// payload is the body; nil for none. It is opened again for a redirect, or when the
	// transport finds its idle connection closed.
	payload *send.Payload
	trailer *checksumTrailer

	// leastResponse is the least response timeout; 0 for none of its own.
	leastResponse time.Duration
}

// requester sends the requests of one upload, or those of a [Client] that belong to none.
type requester struct {
	client   *Client
	hooks    hookSet
	counters *counters // nil counts nothing
}

// requester returns one for requests that belong to no upload.
func (c *Client) requester() requester {
	return requester{client: c, hooks: hookSet{hooks: c.hooks, mu: new(sync.Mutex)}}
}

// do sends r and returns the response whatever its status, except that of a redirect.
// It follows redirects that keep method and body, never sends the caller's headers to
// an untrusted origin, and cuts a connection on which no data moves.
// Errors are *Error, or the error of ctx.
func (q requester) do(ctx context.Context, r *request) (*reply, error) {
	c := q.client
	to := c.destination(destination{}, r.url)
	for range maxRedirects + 1 {
		start := time.Now()
		got, err := q.exchange(ctx, r, to)
		if err == nil && got.StatusCode == http.StatusMisdirectedRequest {
			// The connection may be one to another host: retry once on a new one.
			c.CloseIdleConnections()
			got, err = q.exchange(ctx, r, to)
		}
		if err != nil {
			return nil, err
		}
		if got.succeeded() { // a refusal may arrive before the bytes have left
			c.rate.measure(got.sent, time.Since(start))
		}
		if !httpx.IsRedirect(got.StatusCode) {
			return got, nil
		}
		next, err := c.redirected(got)
		if err != nil {
			return nil, got.fail(err)
		}
		to = next
	}
	return nil, &Error{Method: r.method, URL: c.redactor.URL(r.url), Offset: r.offset,
		Err: fmt.Errorf("%w: more than %d redirects", ErrProtocol, maxRedirects)}
}

// redirected returns the destination of a redirect.
func (c *Client) redirected(r *reply) (destination, error) {
	location := r.Header.Get(headerLocation)
	if location == "" {
		return destination{}, fmt.Errorf("%w: %w", ErrProtocol, httpx.ErrLocation)
	}
	if !r.keepsMethod() {
		to, err := resolveLocation(r.from.url, location)
		if err != nil {
			return destination{}, err
		}
		return destination{}, fmt.Errorf("%w: redirect of %s to %s, which does not keep the method", ErrProtocol, r.request.method, c.redactor.URL(to))
	}
	next, err := c.follow(r, location)
	if err != nil {
		return destination{}, err
	}
	if httpx.OriginOf(next.url) == httpx.OriginOf(r.from.url) {
		next.url.User = r.from.url.User // the caller's own; those of a Location are dropped
	}
	return next, nil
}

// keepsMethod reports whether a redirect is to be followed with the same method. 301 and
// 302 leave that open for POST only (RFC 9110, 15.4.2), and 303 is followed by a GET.
func (r *reply) keepsMethod() bool {
	switch r.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound:
		return r.request.method != http.MethodPost && !r.overridden
	}
	return r.StatusCode != http.StatusSeeOther
}

// responseTimeoutOf returns how long the response to r may take after all bytes of r have
// left. Only a request that carries bytes or ends an upload makes a server work for
// minutes; for all others a silent connection is a dead one.
func (c *Client) responseTimeoutOf(r *request) time.Duration {
	carries := r.payload != nil && r.payload.Size > 0
	switch {
	case r.method != http.MethodPatch && !carries && r.leastResponse == 0:
		return c.opts.StallTimeout
	case c.opts.ResponseTimeout <= 0:
		return 0
	}
	return max(c.opts.ResponseTimeout, r.leastResponse)
}
