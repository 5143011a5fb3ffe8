package tus

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// errGoneAtEnd is an upload that the server no longer has although every byte was sent.
// Servers that move complete uploads away respond like that once they are complete.
var errGoneAtEnd = fmt.Errorf("%w: it no longer has the upload", ErrUnconfirmed)

// errGoneAtOnce is a second upload in a row that is gone before the server acknowledged a
// byte. Each further one would be an orphan, too.
var errGoneAtOnce = fmt.Errorf("%w, right after its creation and for the second time: if a load balancer spreads the "+
	"requests over several servers by a cookie, Options.HTTPClient needs a cookie jar", ErrUploadGone)

// uploadGone reports whether the upload server responds that an upload does not exist. An
// error of a hook or a source may match [ErrUploadGone], too.
func uploadGone(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.StatusCode != 0 && errors.Is(e.Err, ErrUploadGone) && !errors.Is(err, errSource)
}

// seemsGone reports whether a response says that an upload does not exist, and may be that
// of a proxy.
func seemsGone(err error) bool {
	var e *Error
	return errors.As(err, &e) && errors.Is(e.Err, errSeemsGone)
}

// mayHaveArrived reports whether the server may have stored what a failed request carried:
// it did not refuse the bytes themselves.
func mayHaveArrived(err error) bool {
	return err != nil && !unsent(err) && !verdictOf(err).unstored
}

// confirmGone finds out with OPTIONS what responds, after an upload has seemed gone through
// all retries. If it is a server that never sends the header fields of the protocol, the
// upload is gone, and the error returned matches [ErrUploadGone]. If it sends them in
// response to OPTIONS, or nothing responds, a proxy says that it is gone, and err is
// returned.
func (q requester) confirmGone(ctx context.Context, upload *url.URL, err error) error {
	if !seemsGone(err) || ctx.Err() != nil {
		return err
	}
	at := q.client.endpoint
	if httpx.OriginOf(upload) != httpx.OriginOf(at) { // then the endpoint says nothing about it
		at = upload
	}
	got, failed := q.do(ctx, at, q.client.protocol.options())
	if failed != nil {
		return err
	}
	if gone := q.client.protocol.gone(got); gone != nil {
		return withCause(err, gone)
	}
	return err
}

// withCause returns the *Error in err with another condition, which has no verdict.
func withCause(err, cause error) error {
	var e *Error
	if !errors.As(err, &e) {
		return cause
	}
	changed := *e
	changed.Err, changed.verdict = cause, verdict{}
	return &changed
}

// absence counts the responses in a row by which the upload seems gone: they may be those
// of a proxy.
type absence struct{ responses int }

// note counts a response, and returns err, with ErrUploadGone as its cause if the status
// has stayed until no retry was left and no proxy sends it.
func (a *absence) note(ctx context.Context, q requester, at *url.URL, err error, tries *budget) error {
	switch {
	case err == nil:
		a.responses = 0
	case seemsGone(err):
		a.responses++
		if a.stays(tries) {
			return q.confirmGone(ctx, at, err)
		}
	}
	return err
}

// stays reports whether the status has stayed for some responses at least. Step has no
// budget of retries.
func (a *absence) stays(tries *budget) bool {
	const some = 3
	retries := tries.policy.boundedRetries()
	return a.responses > retries || a.responses >= some && tries.failures >= retries
}
