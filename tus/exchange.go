package tus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strconv"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// maxResponseBody is how much of a body is read and kept.
const maxResponseBody = 64 << 10

// exchange is one HTTP request in flight. A request of the protocol takes several if it is
// redirected.
type exchange struct {
	requester
	request *request
	to      destination
	caller  context.Context
	ctx     context.Context // of the caller, until the request is cut
	cut     context.CancelCauseFunc
	stall   *send.StallTimer
	bodies  *send.Bodies
	// panics are those of hooks and of the source, which net/http runs in goroutines of
	// its own, too. One cuts the request and is delivered when that is over.
	panics async.Panics

	withheld   bool    // the client has credentials, and they were not sent
	overridden bool    // it is sent as POST
	secrets    secrets // nil until it is sent
}

// exchange sends r to one destination and returns the response.
func (q requester) exchange(ctx context.Context, r *request, to destination) (*reply, error) {
	release, err := q.client.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	x := &exchange{requester: q, request: r, to: to, caller: ctx}
	defer x.panics.Repanic()
	defer x.open()()
	return x.run()
}

// admit waits until another request may be in flight.
func (c *Client) admit(ctx context.Context) (release func(), err error) {
	if ctx.Err() != nil {
		return nil, &unsentError{async.ContextError(ctx)}
	}
	if c.slots != nil {
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, &unsentError{async.ContextError(ctx)}
		}
	}
	c.inFlight.Add(1)
	return func() {
		c.inFlight.Add(-1)
		if c.slots != nil {
			<-c.slots
		}
	}, nil
}

// open makes what the exchange needs, until it is closed.
func (x *exchange) open() (closed func()) {
	c := x.client
	ctx, cancel := context.WithCancelCause(x.caller)
	x.cut = cancel
	x.panics.Stop = func() { cancel(async.ErrPanicked) }
	if c.broken.Swap(false) {
		c.CloseIdleConnections()
	}
	x.stall = &send.StallTimer{
		Timeout: c.opts.StallTimeout, Response: c.responseTimeoutOf(x.request),
		Cut: cancel, Err: ErrStalled, Connected: c.connected,
	}
	x.stall.Start()
	x.ctx = httptrace.WithClientTrace(ctx, x.stall.Trace())
	x.bodies = &send.Bodies{
		Payload: x.request.payload, Limit: c.opts.RateLimit, Stall: x.stall, Panics: &x.panics,
		SourceError: sourceError, Begun: x.counters.begin, Moved: x.counters.moved,
	}
	return func() {
		x.bodies.Stop()
		x.stall.Stop()
		cancel(nil)
	}
}

func (x *exchange) run() (*reply, error) {
	req, err := x.newRequest()
	if err != nil || x.caller.Err() != nil { // a hook may have ended it
		return nil, x.unsent(err)
	}
	x.secrets = x.client.redactor.Sent(x.client.http, req)
	x.counters.request(x.request.method)
	// The end of the request closes the source: net/http waits for a Read.
	defer context.AfterFunc(x.ctx, x.bodies.Stop)()
	resp, err := x.client.send(req)
	if err != nil {
		return nil, x.noResponse(err)
	}
	defer func() {
		x.cut(nil) // over HTTP/2, Close waits for what is still being read of the source
		resp.Body.Close()
	}()
	got := x.read(resp)
	x.log(req, got.Response)
	x.hooks.afterResponse(req, got.Response)
	return got, nil
}

// newRequest makes the HTTP request: protocol headers for every destination, the caller's
// only for trusted origins.
func (x *exchange) newRequest() (*http.Request, error) {
	c, r := x.client, x.request
	req, err := http.NewRequestWithContext(x.ctx, r.method, x.to.url.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidInput, httpx.StripURL(err))
	}
	req.Header.Set("User-Agent", userAgent)
	if x.to.trusted() {
		httpx.AddHeader(req, c.header)
	}
	x.withheld = !x.to.trusted() && (len(c.header) > 0 || x.hooks.canRenew())
	// The headers of the protocol come last: the caller's do not replace them.
	req.Header.Set("Accept-Encoding", "identity")
	for name, values := range r.header {
		req.Header[name] = values
	}
	if c.opts.OverridePatchMethod && r.method == http.MethodPatch {
		req.Method, x.overridden = http.MethodPost, true
		req.Header.Set(headerMethodOverride, r.method)
	}
	release := x.stall.Pause()
	err = runBeforeRequest(req, x.hooks, x.to.trusted())
	release()
	if err != nil {
		return nil, err
	}
	return req, x.addPayload(req)
}

// addPayload adds the body of the request, if it has one.
func (x *exchange) addPayload(req *http.Request) (err error) {
	r := x.request
	switch {
	case r.payload == nil:
		return nil
	case r.payload.Size == 0:
		req.Body = http.NoBody
		return nil
	}
	req.ContentLength = r.payload.Size
	if r.trailer != nil {
		r.trailer.addTo(req, x.bodies, x.client.protocol)
	}
	req.GetBody = func() (io.ReadCloser, error) { return x.bodies.Open(x.ctx) }
	req.Body, err = x.bodies.Open(x.ctx)
	return err
}

// runBeforeRequest runs the hooks. If req goes to an untrusted origin, they get a copy: a
// hook may add a token to any part of any request.
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

// send is http.Client.Do, but returns when the context ends even if a Read of
// the source hangs. Such a Read is left behind.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	return async.Call(req.Context(), func() (*http.Response, error) { return c.http.Do(req) },
		func(resp *http.Response) { resp.Body.Close() })
}

// read reads the response. The whole body gets one stall timeout: its bytes do not count
// as movement, so that a slow body ends too. What was read by then is kept.
func (x *exchange) read(resp *http.Response) *reply {
	x.stall.GotResponse()
	var content []byte
	if resp.ContentLength != 0 {
		content, _ = io.ReadAll(io.LimitReader(resp.Body, maxResponseBody))
	}
	x.bodies.Stop() // after an early response the body is still being sent
	return &reply{
		Response: &Response{StatusCode: resp.StatusCode, Header: resp.Header, Body: content},
		request:  x.request, from: x.to, shown: x.shown(), secrets: x.secrets,
		withheld: x.withheld, overridden: x.overridden, sent: x.bodies.Sent(),
	}
}

func (x *exchange) shown() string { return x.client.redactor.URL(x.to.url) }

func (x *exchange) log(req *http.Request, resp *Response) {
	if !x.client.opts.Logger.Enabled(req.Context(), slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", req.Method), slog.String("url", x.client.redactor.URL(req.URL)), slog.Int("status", resp.StatusCode),
	}
	if x.request.method == http.MethodPatch {
		attrs = append(attrs, slog.String("offset", strconv.FormatInt(x.request.offset, 10)))
	}
	x.client.opts.Logger.LogAttrs(req.Context(), slog.LevelDebug, "tus request", attrs...)
}

// unsent returns the error for a request that could not be made.
func (x *exchange) unsent(err error) error {
	switch cause := context.Cause(x.ctx); {
	case x.caller.Err() != nil:
		return &unsentError{async.ContextError(x.caller)}
	case errors.Is(cause, ErrStalled): // while the source was opened
		err = cause
	}
	return x.fail(&unsentError{err})
}

// noResponse returns the error for a request without a response.
func (x *exchange) noResponse(err error) error {
	cause, source := context.Cause(x.ctx), x.bodies.Failure()
	switch {
	case x.caller.Err() != nil && x.stall.NeverSent():
		return &unsentError{async.ContextError(x.caller)}
	case x.caller.Err() != nil:
		return async.ContextError(x.caller)
	case errors.Is(cause, ErrStalled): // which also ends a Read of the source
		x.client.broken.Store(true)
		return x.fail(cause)
	case source != nil:
		return x.fail(source)
	}
	x.client.broken.Store(true)
	err = httpx.DoError(err)
	var record tls.RecordHeaderError
	if x.stall.HasConn() && (errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record)) {
		// After the handshake that is a broken connection, and a new one may work.
		err = fmt.Errorf("TLS connection broke: %v", err)
	}
	if err == httpx.ErrLocation {
		err = fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return x.fail(err)
}

// fail returns the error for a request without a response.
func (x *exchange) fail(err error) error {
	if x.stall.NeverSent() {
		err = &connectError{err}
	}
	return &Error{Method: x.request.method, URL: x.shown(), Offset: x.request.offset, Err: x.secrets.redact(err)}
}
