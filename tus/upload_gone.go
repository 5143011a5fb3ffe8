package tus

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// errGoneAtEnd is returned when every byte was sent and the server no longer has the upload.
// Servers that move complete uploads away respond like that.
var errGoneAtEnd = fmt.Errorf("%w: it no longer has the upload", ErrUnconfirmed)

// errFound is the cause of an error if the server responds to a PATCH that it has no such
// upload, after HEAD has found it. It is retried.
var errFound = errors.New("no such upload")

// needsCookies is a possible reason for requests of which only some find the upload.
const needsCookies = "if a load balancer spreads the requests over several servers by a cookie, Options.HTTPClient needs a cookie jar"

// errGoneAtOnce is returned when a second upload in a row is gone before the server
// acknowledged a byte. Each further one would be an orphan, too.
var errGoneAtOnce = fmt.Errorf("%w, right after its creation and for the second time: "+needsCookies, ErrUploadGone)

// uploadGone reports whether the upload server responds that an upload does not exist. An
// error of a hook or a source may match [ErrUploadGone], too.
func uploadGone(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.StatusCode != 0 && errors.Is(e.Err, ErrUploadGone) && !errors.Is(err, errSource)
}

// confirmGone sends OPTIONS after an upload has seemed gone through all retries. If the
// server never sends the header fields of the protocol, the upload is gone, and the error
// matches [ErrUploadGone]. If it sends them in response to OPTIONS, or does not respond, the
// responses before were those of a proxy, and confirmGone returns err.
func (q requester) confirmGone(ctx context.Context, upload *url.URL, err error) error {
	if ctx.Err() != nil {
		return err
	}
	at := q.client.endpoint
	if httpx.OriginOf(upload) != httpx.OriginOf(at) {
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

// withCause returns the *Error in err with another condition and no verdict.
func withCause(err, cause error) error {
	var e *Error
	if !errors.As(err, &e) {
		return cause
	}
	changed := *e
	changed.Err, changed.verdict = cause, verdict{}
	return &changed
}

// absence counts responses by which the upload seems gone. They may be those of a proxy.
type absence struct {
	responses int  // in a row, without header fields of the protocol
	refused   bool // the last PATCH was refused like that
	found     bool // and then HEAD found the upload
	doubted   bool // whether the upload is gone is for HEAD to say
}

// note counts a response, and returns err, with ErrUploadGone as its cause if the status
// persists through all retries and no proxy sends it.
func (a *absence) note(ctx context.Context, q requester, at *url.URL, err error, tries *budget) error {
	switch {
	case err == nil:
		a.responses = 0
	case errors.Is(err, errSeemsGone):
		a.responses++
		const least = 3 // Step counts no failures
		retries := tries.policy.boundedRetries()
		if a.responses > retries || a.responses >= least && tries.failures >= retries {
			return q.confirmGone(ctx, at, err)
		}
	}
	return err
}

// notePatch notes the error of a PATCH, nil if it succeeded. By a PATCH alone no upload is
// gone: a body limit or a server that lags behind responds 404, too. After HEAD has found the
// upload, notePatch returns an error that says so and is retried.
func (a *absence) notePatch(err error) error {
	missing := verdictOf(err).found
	a.doubted = missing != nil && !a.refused
	switch {
	case missing != nil && a.found:
		var e *Error
		errors.As(err, &e)
		changed := *e
		changed.Err = missing
		return &changed
	case missing != nil:
		a.refused = true
	case err == nil:
		a.refused, a.found = false, false
	}
	return err
}

// noteHead notes the error of a HEAD, nil if it found the upload.
func (a *absence) noteHead(err error) {
	a.doubted = false
	a.found = err == nil && a.refused
}

// judgeGone decides what a 404 or 410 means for the upload. One without Tus-Resumable stays
// an error worth a retry until no retry is left. After one to a PATCH, HEAD decides. Once
// every byte was sent, a server that no longer has the upload leaves it unconfirmed.
func (t *transfer) judgeGone(ctx context.Context, err error) error {
	a, refusal := t.account(), t.refusal
	if t.state == StateSending {
		err = t.absence.notePatch(err)
	} else {
		t.absence.noteHead(err)
	}
	err = t.absence.note(ctx, t.requester, a.url, err, &t.retries.budget)
	if !uploadGone(err) || t.absence.doubted || refusal != nil && !IsRetryable(refusal) {
		return err
	}
	allSent := t.sentTo > 0 && t.chunks.endsAt(ctx, t.sentTo)
	switch {
	case allSent && refusal != nil:
		return withCause(refusal, fmt.Errorf("%w, after this refusal", errGoneAtEnd))
	case allSent:
		return withCause(err, errGoneAtEnd)
	case t.retries.goneInRow > 0 && a.offset == 0 && t.plan.recreates && !t.restored:
		return withCause(err, errGoneAtOnce)
	}
	return err
}
