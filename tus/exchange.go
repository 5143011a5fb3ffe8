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

	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// maxResponseBody is the maximum number of bytes of a response body that are read.
const maxResponseBody = 64 << 10

// exchange is one HTTP request in flight, without redirects.
type exchange struct {
	requester
	hop
	caller context.Context
	ctx    context.Context // of the caller; canceled when the request is cut
	cut    context.CancelCauseFunc
	stall  *send.StallTimer
	bodies *send.Bodies
	// panics keeps panics of hooks and of the source, which net/http also runs in its own
	// goroutines. A panic cuts the request and is repeated at its end.
	panics async.Panics
}

// exchange sends r to one destination and returns the response.
func (q requester) exchange(ctx context.Context, r *request, to destination) (*reply, error) {
	release, err := q.client.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	x := &exchange{requester: q, hop: hop{request: r, to: to, redactor: q.redactor}, caller: ctx}
	defer x.panics.Repanic()
	defer x.start()()
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

// start sets up the exchange, until stop is called.
func (x *exchange) start() (stop func()) {
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
	if err == nil && x.checkLease != nil { // after the wait for a rate limit
		x.checkLease(x.caller)
	}
	if err != nil || x.caller.Err() != nil { // a hook may have canceled it
		return nil, x.unsent(err)
	}
	x.noteSent(req)
	x.counters.request(x.request.method)
	// net/http waits for a Read of the source. The end of the context closes the source, and
	// a Read that hangs even then is abandoned.
	defer context.AfterFunc(x.ctx, x.bodies.Stop)()
	resp, err := async.Call(req.Context(), func() (*http.Response, error) { return x.client.http.Do(req) },
		func(resp *http.Response) { resp.Body.Close() })
	if err != nil {
		return nil, x.noResponse(err)
	}
	defer func() {
		x.cut(nil) // over HTTP/2, Close waits for a Read of the source
		resp.Body.Close()
	}()
	got := x.read(resp)
	x.log(req, got)
	x.hooks.afterResponse(req, got.Response)
	return got, nil
}

// newRequest returns the HTTP request, with the header of the protocol for every destination
// and that of the caller for trusted origins only.
func (x *exchange) newRequest() (*http.Request, error) {
	c, r := x.client, x.request
	req, err := http.NewRequestWithContext(x.ctx, r.method, x.to.url.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidInput, httpx.StripURL(err))
	}
	req.Header.Set("User-Agent", userAgent)
	if x.to.trusted() {
		httpx.AddHeader(req, x.requester.header)
	}
	x.withheld = !x.to.trusted() && (len(x.requester.header) > 0 || x.hooks.canRenew())
	// The header of the protocol comes last, so that the caller's cannot replace it.
	req.Header.Set("Accept-Encoding", "identity")
	for name, values := range r.header {
		req.Header[name] = values
	}
	x.addOwn(req)
	if c.opts.OverridePatchMethod && r.method == http.MethodPatch {
		req.Method, x.overridden = http.MethodPost, true
		req.Header.Set(headerMethodOverride, r.method)
	}
	if err := x.runHooks(req); err != nil {
		return nil, err
	}
	return req, x.addPayload(req)
}

// runHooks runs the BeforeRequest hooks. For an untrusted origin they receive a copy, as a
// hook may add a token to any part of any request.
func (x *exchange) runHooks(req *http.Request) error {
	defer x.stall.Pause()()
	if !x.to.trusted() {
		return x.hooks.beforeRequest(req.Clone(req.Context()))
	}
	if err := x.hooks.beforeRequest(req); err != nil {
		return err
	}
	if err := httpx.ValidHeaders(req.Header); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	return nil
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

// read reads the response. The stall timeout limits the time for the whole body, as its bytes
// do not count as movement. The bytes that were read before an error are kept.
func (x *exchange) read(resp *http.Response) *reply {
	x.stall.GotResponse()
	var content []byte
	if resp.ContentLength != 0 {
		content, _ = io.ReadAll(io.LimitReader(resp.Body, maxResponseBody))
	}
	x.bodies.Stop() // after an early response, the request body is still being sent
	sent, _ := x.bodies.Result()
	return &reply{
		Response: &Response{StatusCode: resp.StatusCode, Header: resp.Header, Body: content},
		hop:      x.hop, sent: sent, requestID: x.serverRequestID(resp),
	}
}

func (x *exchange) log(req *http.Request, got *reply) {
	if !x.client.opts.Logger.Enabled(req.Context(), slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", req.Method), slog.String("url", x.hop.redactor.URL(req.URL)), slog.Int("status", got.StatusCode),
	}
	if x.request.method == http.MethodPatch {
		attrs = append(attrs, slog.Int64("offset", x.request.offset))
	}
	if x.requestID != "" {
		attrs = append(attrs, slog.String("request_id", x.requestID))
	}
	if got.requestID != "" {
		attrs = append(attrs, slog.String("server_request_id", got.requestID))
	}
	x.client.opts.Logger.LogAttrs(req.Context(), slog.LevelDebug, "tus request", attrs...)
}

// unsent returns the error for a request that was not sent.
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
	cause := context.Cause(x.ctx)
	_, failure := x.bodies.Result()
	switch {
	case x.caller.Err() != nil && x.stall.NeverSent():
		return &unsentError{async.ContextError(x.caller)}
	case x.caller.Err() != nil:
		return async.ContextError(x.caller)
	case errors.Is(cause, ErrStalled): // the cut also ends a Read of the source
		x.client.broken.Store(true)
		return x.fail(cause)
	case failure != nil:
		return x.fail(failure)
	}
	x.client.broken.Store(true)
	err = httpx.DoError(err)
	var record tls.RecordHeaderError
	if x.stall.HasConn() && (errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record)) {
		// After the handshake this is a broken connection, and a new one may work.
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
		err = &unsentError{err}
	}
	return x.hop.fail(err)
}
