package tus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

const (
	// maxResponseBody is how much of an answer is read and kept.
	maxResponseBody = 64 << 10
	maxRedirects    = 5
)

// request is one request of the protocol, before credentials and hooks.
type request struct {
	method string
	url    *url.URL
	header http.Header // protocol headers only
	offset int64       // of a PATCH, for errors

	// payload is the body; nil for none. It is opened again for a redirect, or when the
	// transport finds its idle connection closed.
	payload *send.Payload
	size    int64 // of the payload
	trailer *checksumTrailer

	hooks hookSet // nil: the client's
	meter *meter  // counts what happens; nil counts nothing
	// leastResponse is the least response timeout; 0 for none of its own.
	leastResponse time.Duration

	// Set by the exchange. They are not part of the Response, which people print.
	answered destination          // after redirects
	shown    string               // the URL of answered, for errors
	withheld bool                 // the client has credentials, and they were not sent
	secrets  func() httpx.Secrets // what was sent and must not show in errors
	sent     int64                // bytes of the payload that left before the answer

	overridden bool // it went as POST
}

func (r *request) hooksOf(c *Client) hookSet {
	if r.hooks != nil {
		return r.hooks
	}
	return c.hooks
}

// Response is an answer of the server, for those services that put results
// into headers or into the body.
type Response struct {
	// StatusCode is the HTTP status, and Header the header fields as they came.
	StatusCode int
	Header     http.Header
	// Body is the start of the body, at most 64 KiB.
	Body []byte
}

// do sends r and returns the response whatever its status, except that of a redirect.
// It follows redirects that keep method and body, never sends the caller's headers to
// an origin that is not trusted, and cuts a connection on which nothing moves.
// Errors are *Error, or the error of ctx.
func (c *Client) do(ctx context.Context, r *request) (*Response, error) {
	to := c.destination(destination{}, r.url)
	for range maxRedirects + 1 {
		start := time.Now()
		resp, err := c.exchange(ctx, r, to)
		if err == nil && resp.StatusCode == http.StatusMisdirectedRequest {
			// The connection is of another host, perhaps: once more on a new one.
			c.CloseIdleConnections()
			resp, err = c.exchange(ctx, r, to)
		}
		if err != nil {
			return nil, err
		}
		if !isRedirect(resp.StatusCode) {
			c.rate.measure(resp, r.sent, time.Since(start))
			return resp, nil
		}
		location := resp.Header.Get(headerLocation)
		if location == "" {
			return nil, r.fail(resp, fmt.Errorf("%w: redirect without %s", ErrProtocol, headerLocation))
		}
		if !r.keepsMethod(resp.StatusCode) {
			return nil, r.fail(resp, c.notFollowed(r, location))
		}
		next, err := c.follow(r, location)
		if err != nil {
			return nil, r.fail(resp, err)
		}
		if httpx.OriginOf(next.url) == httpx.OriginOf(to.url) {
			next.url.User = to.url.User // the caller's own; those of a Location are dropped
		}
		to = next
	}
	return nil, &Error{Method: r.method, URL: c.redactor.URL(r.url), Offset: r.offset,
		Err: fmt.Errorf("%w: more than %d redirects", ErrProtocol, maxRedirects)}
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// keepsMethod reports whether a redirect asks for the same method again. 301 and 302
// leave that open for POST only (RFC 9110, 15.4.2), and 303 asks for a GET.
func (r *request) keepsMethod(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound:
		return r.method != http.MethodPost && !r.overridden
	}
	return status != http.StatusSeeOther
}

// notFollowed is the error for a redirect that may change the method.
func (c *Client) notFollowed(r *request, location string) error {
	to, err := resolveLocation(r.answered.url, location)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: redirect of %s to %s, which does not keep the method", ErrProtocol, r.method, c.redactor.URL(to))
}

// exchange is one HTTP request and its answer.
//
// Hooks and the source run in goroutines of net/http, too. A panic there cuts the
// request and is delivered when the request is over.
func (c *Client) exchange(ctx context.Context, r *request, to destination) (*Response, error) {
	var panics async.Panics
	defer panics.Repanic()
	if ctx.Err() != nil {
		return nil, &unsentError{async.ContextError(ctx)}
	}
	if c.slots != nil {
		select {
		case c.slots <- struct{}{}:
			defer func() { <-c.slots }()
		case <-ctx.Done():
			return nil, &unsentError{async.ContextError(ctx)}
		}
	}
	c.inFlight.Add(1)
	defer c.inFlight.Add(-1)
	reqCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	panics.Stop = func() { cancel(async.ErrPanicked) }
	if c.broken.Swap(false) {
		c.CloseIdleConnections()
	}
	stall := &send.StallTimer{
		Timeout: c.stallTimeout, Response: c.responseTimeoutOf(r),
		Cut: cancel, Err: ErrStalled, Connected: c.connected,
	}
	stall.Start()
	defer stall.Stop()
	reqCtx = httptrace.WithClientTrace(reqCtx, stall.Trace())

	failed := func(err error) error {
		if stall.NeverSent() {
			err = &connectError{err}
		}
		return &Error{Method: r.method, URL: c.redactor.URL(to.url), Offset: r.offset, Err: r.redact(err)}
	}
	bodies := c.bodies(r, stall, &panics)
	defer bodies.Stop()
	req, err := c.newRequest(reqCtx, r, to, bodies)
	if err != nil {
		switch cause := context.Cause(reqCtx); {
		case ctx.Err() != nil:
			return nil, &unsentError{async.ContextError(ctx)}
		case errors.Is(cause, ErrStalled): // while the source was opened
			err = cause
		}
		return nil, failed(&unsentError{err})
	}
	if ctx.Err() != nil { // by a hook, perhaps
		return nil, &unsentError{async.ContextError(ctx)}
	}
	r.secrets = c.redactor.Sent(c.http, req)
	r.meter.request(r.method)
	// The end of the request closes the source: net/http waits for a Read.
	defer context.AfterFunc(reqCtx, bodies.Stop)()
	raw, err := c.send(req)
	if err != nil {
		cause := context.Cause(reqCtx)
		switch source := bodies.Failure(); {
		case ctx.Err() != nil && stall.NeverSent():
			return nil, &unsentError{async.ContextError(ctx)}
		case ctx.Err() != nil:
			return nil, async.ContextError(ctx)
		case errors.Is(cause, ErrStalled): // which also ends a Read of the source
			c.broken.Store(true)
			return nil, failed(cause)
		case source != nil:
			return nil, failed(source)
		}
		c.broken.Store(true)
		err = httpx.StripURL(err)
		var record tls.RecordHeaderError
		if stall.HasConn() && (errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record)) {
			// After the handshake that is a connection that broke, and may heal.
			err = fmt.Errorf("TLS connection broke: %v", err)
		}
		if strings.HasPrefix(err.Error(), "failed to parse Location header") {
			// http.Client looks at redirects even if it is told to leave them; its
			// error repeats the whole URL.
			err = fmt.Errorf("%w: redirect to what is not a URL", ErrProtocol)
		}
		return nil, failed(err)
	}
	defer func() {
		cancel(nil) // over HTTP/2, Close waits for what is still being read of the source
		raw.Body.Close()
	}()
	stall.GotResponse()
	// The whole body gets one stall timeout: its bytes do not count as
	// movement, so that an endless drip ends too. What was read by then is kept.
	var content []byte
	if raw.ContentLength != 0 {
		content, _ = io.ReadAll(io.LimitReader(raw.Body, maxResponseBody))
	}
	resp := &Response{StatusCode: raw.StatusCode, Header: raw.Header, Body: content}
	r.answered, r.shown = to, c.redactor.URL(to.url)
	bodies.Stop() // of an early answer the body is still being sent
	r.sent = bodies.Sent()
	r.hooksOf(c).afterResponse(req, resp)
	return resp, nil
}

// responseTimeoutOf is how long the response to r may take once all bytes of r have
// left. Only a request that carries bytes or ends an upload makes a server work for
// minutes; for all others a silent connection is a dead one.
func (c *Client) responseTimeoutOf(r *request) time.Duration {
	switch {
	case r.method != http.MethodPatch && r.size == 0 && r.leastResponse == 0:
		return c.stallTimeout
	case c.responseTimeout <= 0:
		return 0
	}
	return max(c.responseTimeout, r.leastResponse)
}

// send is http.Client.Do, but returns when the context ends even if a Read of
// the source hangs. Such a Read is left behind.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	return async.Call(req.Context(), func() (*http.Response, error) { return c.http.Do(req) },
		func(resp *http.Response) { resp.Body.Close() })
}

// newRequest makes the HTTP request: protocol headers for everyone, the
// caller's only for trusted origins.
func (c *Client) newRequest(ctx context.Context, r *request, to destination, bodies *send.Bodies) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, to.url.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidInput, httpx.StripURL(err))
	}
	req.Header.Set("User-Agent", userAgent)
	if to.trusted() {
		c.addCallerHeaders(req)
	}
	hooks := r.hooksOf(c)
	r.withheld = !to.trusted() && (len(c.header) > 0 || hooks.canRenew())
	// The protocol's own headers come last: nothing of the caller replaces them.
	req.Header.Set("Accept-Encoding", "identity")
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.method != http.MethodOptions {
		req.Header.Set(headerTusResumable, ProtocolVersion)
	}
	if c.overridePatch && (r.method == http.MethodPatch || r.method == http.MethodDelete) {
		req.Method, r.overridden = http.MethodPost, true
		req.Header.Set(headerMethodOverride, r.method)
	}
	release := bodies.Stall.Pause()
	err = runBeforeRequest(req, hooks, to.trusted())
	release()
	if err != nil {
		return nil, err
	}
	if r.payload == nil {
		return req, nil
	}
	if r.size == 0 {
		req.Body = http.NoBody
		return req, nil
	}
	req.ContentLength = r.size
	if r.trailer != nil {
		r.trailer.addTo(req, bodies)
	}
	req.GetBody = func() (io.ReadCloser, error) { return bodies.Open(ctx) }
	req.Body, err = bodies.Open(ctx)
	return req, err
}

// addCallerHeaders adds Options.Header.
func (c *Client) addCallerHeaders(req *http.Request) {
	for name, values := range c.header {
		if name == "Host" {
			req.Host = values[0]
			continue
		}
		req.Header[name] = append([]string(nil), values...)
	}
}

// runBeforeRequest runs the hooks. Where req goes to an origin that is not trusted,
// they get a copy: a hook may add a token to whatever it sees, in any part of it.
func runBeforeRequest(req *http.Request, hooks hookSet, trusted bool) error {
	if !trusted {
		return hooks.beforeRequest(req.Clone(req.Context()))
	}
	if err := hooks.beforeRequest(req); err != nil {
		return err
	}
	if err := httpx.ValidHeaders(req.Header); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	return nil
}

// fail makes the error for an answer.
func (r *request) fail(resp *Response, cause error) error {
	said, words := r.message(resp)
	e := &Error{
		Method: r.method, URL: r.shown, StatusCode: resp.StatusCode, Offset: r.offset,
		Message: words, interrupted: interrupted(said), tus: ofTus(resp), Err: r.redact(cause),
	}
	if wait, ok := httpx.RetryAfter(resp.Header, time.Now()); ok {
		e.RetryAfter = wait
	}
	return e
}

// check returns nil for any 2xx, otherwise the error that the status means.
func (r *request) check(resp *Response) error {
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return nil
	}
	cause := r.condition(resp)
	if cause == ErrUnauthorized && r.withheld {
		cause = fmt.Errorf("%w: the credentials of the client were not sent, as %v is not one of Options.TrustedOrigins", ErrUnauthorized, r.answered.foreign)
	}
	if resp.StatusCode == http.StatusMethodNotAllowed {
		cause = r.notAllowed()
	}
	if cause == nil && resp.StatusCode >= 400 && resp.StatusCode <= 499 || cause == ErrUnauthorized && resp.StatusCode == http.StatusForbidden {
		cause = ofFirewall(resp, cause)
	}
	if resp.StatusCode >= 300 && resp.StatusCode <= 399 {
		cause = fmt.Errorf("%w: status that is no redirect with a %s", ErrProtocol, headerLocation)
	}
	return r.fail(resp, cause)
}

// condition is what the status of a refusal stands for, nil if that is nothing in
// particular.
func (r *request) condition(resp *Response) error {
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrUnauthorized
	case http.StatusConflict:
		switch {
		case r.method == http.MethodPatch:
			return ErrOffsetConflict
		case r.creates(): // of a final upload, a part may be locked
			return ErrExists
		}
	case http.StatusPreconditionFailed:
		// Without Tus-Version, a creation may be refused for a precondition of the service.
		switch versions := parseList(resp.Header, headerTusVersion); {
		case slices.Contains(versions, ProtocolVersion):
		case len(versions) > 0:
			return fmt.Errorf("%w: it offers %s", ErrVersion, httpx.QuoteShort(strings.Join(versions, ", ")))
		case r.method != http.MethodPost:
			return ErrVersion
		}
	case http.StatusRequestEntityTooLarge:
		return ErrTooLarge
	case http.StatusLocked:
		return ErrUploadLocked
	case http.StatusExpectationFailed: // rustus
		if r.trailer != nil || r.header.Get(headerUploadChecksum) != "" {
			return ErrChecksumMismatch
		}
	case statusChecksumMismatch:
		return ErrChecksumMismatch
	}
	return nil
}

// creates reports whether r creates an upload that is no final one.
func (r *request) creates() bool {
	kind, _ := parseConcat(r.header.Get(headerUploadConcat))
	return r.method == http.MethodPost && kind != ConcatFinal
}

// ofFirewall adds to the cause of a refusal, perhaps nil, that the tus server may not
// have sent it.
func ofFirewall(resp *Response, cause error) error {
	if ofTus(resp) {
		return cause
	}
	var senders []string
	for _, name := range []string{"Server", "Via"} {
		if value := resp.Header.Get(name); value != "" {
			senders = append(senders, name+" "+httpx.QuoteShort(value))
		}
	}
	text := "no " + headerTusResumable + " in the response, perhaps a proxy or firewall sent it"
	if len(senders) > 0 {
		text += " (" + strings.Join(senders, ", ") + ")"
	}
	if cause == nil {
		return errors.New(text)
	}
	return fmt.Errorf("%w: %s", cause, text)
}

// errPatchBlocked is a PATCH to what takes none.
var errPatchBlocked = errors.New("PATCH is not allowed here, or blocked by a proxy: see Options.OverridePatchMethod")

// notAllowed tells what a server lacks that does not take a method.
func (r *request) notAllowed() error {
	if r.overridden {
		return nil // it was POST that is not allowed there
	}
	switch r.method {
	case http.MethodPost:
		return fmt.Errorf("%w: %s", ErrUnsupported, ExtensionCreation)
	case http.MethodDelete:
		return fmt.Errorf("%w: %s", ErrUnsupported, ExtensionTermination)
	case http.MethodPatch:
		return errPatchBlocked
	}
	return nil
}
