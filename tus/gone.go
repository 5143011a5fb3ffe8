package tus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// errNotTus is a response without Tus-Resumable where the server has to send it. A proxy
// without a route, a login page or a firewall answers like that. It is retried.
var errNotTus = fmt.Errorf("%w: no %s in the response, perhaps a proxy sent it", ErrProtocol, headerTusResumable)

// errGoneAtEnd is an upload that the server no longer has although every byte was sent.
// Servers that move complete uploads away respond like that once they are complete.
var errGoneAtEnd = fmt.Errorf("%w: it no longer has the upload", ErrUnconfirmed)

// errGoneAtOnce is a second upload in a row that is gone before the server acknowledged a
// byte. Each further one would be an orphan, too.
var errGoneAtOnce = fmt.Errorf("%w, right after its creation and for the second time: if a load balancer spreads the "+
	"requests over several servers by a cookie, Options.HTTPClient needs a cookie jar", ErrUploadGone)

// uploadGone reports whether the tus server said that an upload does not exist. What a
// hook or a source returns may match [ErrUploadGone], too, for something else.
func uploadGone(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.StatusCode != 0 && errors.Is(e.Err, ErrUploadGone) && !errors.Is(err, errSource)
}

// seemsGone reports whether a 404 or 410 came without Tus-Resumable: it may be of a proxy,
// or of a tus server that never sends the header.
func seemsGone(err error) bool {
	var e *Error
	return errors.As(err, &e) && isGone(e.StatusCode) && errors.Is(e.Err, errNotTus)
}

func isGone(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }

// mayHaveArrived reports whether the server may have stored what a failed request carried:
// it did not refuse the bytes themselves.
func mayHaveArrived(err error) bool {
	var e *Error
	switch {
	case err == nil, unsent(err):
		return false
	case !errors.As(err, &e):
		return true
	}
	refused := e.StatusCode >= 400 && e.StatusCode <= 499 && !isGone(e.StatusCode) && e.StatusCode != http.StatusRequestTimeout
	return !refused
}

// confirmGone asks what responds, after a 404 or 410 without Tus-Resumable has stayed
// through all retries. If it is a server that never sends the header, the upload is gone,
// and the error returned matches [ErrUploadGone]. If there is none, or one that sends it
// in response to OPTIONS, the 404 is that of a proxy, and err is returned.
func (c *Client) confirmGone(ctx context.Context, upload *url.URL, err error, hooks hookSet, m *meter) error {
	if !seemsGone(err) || ctx.Err() != nil {
		return err
	}
	at := c.endpoint
	if httpx.OriginOf(upload) != httpx.OriginOf(at) { // then the endpoint says nothing about it
		at = upload
	}
	resp, failed := c.do(ctx, &request{method: http.MethodOptions, url: at, hooks: hooks, meter: m})
	if failed != nil || resp.StatusCode < 200 || resp.StatusCode > 299 || resp.Header.Get(headerTusResumable) != "" {
		return err
	}
	return withCause(err, fmt.Errorf("%w: the status stays, and the server never sends %s", ErrUploadGone, headerTusResumable))
}

// withCause is the *Error in err with another condition.
func withCause(err, cause error) error {
	var e *Error
	if !errors.As(err, &e) {
		return cause
	}
	changed := *e
	changed.Err = cause
	return &changed
}

// staysGone reports whether a 404 or 410 without Tus-Resumable has stayed, for some
// responses at least, until no retry is left. Step has no budget of retries.
func (u *Uploader) staysGone() bool {
	const some = 3
	retries := u.client.retry.maxRetries()
	return u.missing > retries || u.missing >= some && u.budget.failures >= retries
}

// judgeGone decides what a 404 or 410 means for the upload at a URL. One without
// Tus-Resumable stays an error worth a retry until the retries are used up; once every
// byte was sent, a server that has the upload no more leaves it unconfirmed.
func (u *Uploader) judgeGone(ctx context.Context, at *url.URL, err error) error {
	switch {
	case err == nil:
		u.missing = 0
		return nil
	case seemsGone(err):
		u.missing++
		if u.staysGone() {
			err = u.client.confirmGone(ctx, at, err, u.hooks, u.meter)
		}
	}
	switch {
	case !uploadGone(err), refusedForGood(u.refusal):
		return err
	case u.allSent(ctx) && u.refusal != nil:
		return withCause(u.refusal, fmt.Errorf("%w, after this refusal", errGoneAtEnd))
	case u.allSent(ctx):
		return withCause(err, errGoneAtEnd)
	case u.vain > 0 && u.Offset() == 0 && !u.given && !u.adopted:
		return withCause(err, errGoneAtOnce)
	}
	return err
}

// allSent reports whether every byte was sent, perhaps without a response. Whether a stream
// has more only its reader tells.
func (u *Uploader) allSent(ctx context.Context) bool {
	switch s := u.stream; {
	case u.sentTo == 0:
		return false
	case s == nil:
		return u.sentTo == u.info.Size
	default:
		return u.sentTo == s.End() && s.Peek(ctx) == nil && s.Ended()
	}
}
