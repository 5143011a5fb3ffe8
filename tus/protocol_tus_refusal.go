package tus

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// The meaning of refusals in tus 1.0.0.

// statusChecksumMismatch is "460 Checksum Mismatch" of the checksum extension.
const statusChecksumMismatch = 460

// notTus is the text about a response that a tus server would not send.
const notTus = "response without " + headerTusResumable

// errNotTus is the cause of an error if a response lacks the required Tus-Resumable, as from
// a proxy without a route, a login page or a firewall. It is retried.
var errNotTus = fmt.Errorf("%w: %s", ErrProtocol, notTus)

// errSeemsGone is the cause of an error for a 404 or 410 without Tus-Resumable, from a proxy
// or from a tus server that never sends the header.
var errSeemsGone = fmt.Errorf("%w", errNotTus)

// The meaning of some statuses, for texts. Programs use [Error.StatusCode].
var (
	errLocked   = errors.New("upload is locked by another request") // often that of a dead connection of this client
	errExists   = errors.New("resource exists on the server")
	errConflict = errors.New("server is at another offset")
	errVersion  = fmt.Errorf("%w: tus %s", ErrUnsupported, protocolVersion)
)

// errPatchBlocked is the cause of an error if PATCH is not allowed.
var errPatchBlocked = errors.New("PATCH is not allowed for the upload URL, or blocked by a proxy: see Options.OverridePatchMethod")

// checkUpload is check for a request to an upload URL, where 404 and 410 mean that the
// upload is gone.
func (t protocolTus) checkUpload(r *reply) error {
	switch gone := isGone(r.StatusCode); {
	case r.StatusCode == http.StatusCreated && r.Header.Get(headerLocation) != "":
		return t.fail(r, errOtherResponse)
	case gone && !isTus(r.Header):
		return t.fail(r, errSeemsGone)
	case gone:
		return t.fail(r, ErrUploadGone)
	}
	return t.check(r)
}

func isGone(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }

// check returns nil for any 2xx, otherwise the error for the status.
func (t protocolTus) check(r *reply) error {
	if r.succeeded() {
		return nil
	}
	return t.fail(r, t.refusal(r))
}

// refusal returns the cause of a response other than 2xx, which may be nil.
func (t protocolTus) refusal(r *reply) error {
	cause := t.condition(r)
	switch {
	case cause == ErrUnauthorized && r.withheld:
		cause = fmt.Errorf("%w: credentials were not sent, as %v is not one of Options.TrustedOrigins", ErrUnauthorized, r.to.untrusted)
	case r.StatusCode >= 300 && r.StatusCode <= 399:
		cause = fmt.Errorf("%w: not a redirect with a %s", ErrProtocol, headerLocation)
	}
	return cause
}

func isClientError(status int) bool { return status >= 400 && status <= 499 }

// condition returns the error that the status of a refusal stands for, nil if it has no
// special meaning.
func (protocolTus) condition(r *reply) error {
	switch r.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrUnauthorized
	case http.StatusMethodNotAllowed:
		return notAllowed(r)
	case http.StatusConflict:
		return conflict(r.request)
	case http.StatusPreconditionFailed:
		return otherVersion(r)
	case http.StatusRequestEntityTooLarge:
		return ErrTooLarge
	case http.StatusLocked:
		return errLocked
	case http.StatusExpectationFailed: // rustus
		if r.request.trailer != nil || r.request.header.Get(headerUploadChecksum) != "" {
			return ErrChecksumMismatch
		}
	case statusChecksumMismatch:
		return ErrChecksumMismatch
	}
	return nil
}

// conflict returns the meaning of 409. In response to the creation of a final upload it may
// be about a locked part.
func conflict(r *request) error {
	kind := parseConcat(r.header.Get(headerUploadConcat))
	switch {
	case r.method == http.MethodPatch:
		return errConflict
	case r.method == http.MethodPost && kind != concatFinal:
		return errExists
	}
	return nil
}

// otherVersion returns the meaning of 412. In response to a creation it may also be about a
// precondition of the service.
func otherVersion(r *reply) error {
	switch versions := parseList(r.Header, headerTusVersion); {
	case slices.Contains(versions, protocolVersion):
		return nil
	case len(versions) > 0:
		return fmt.Errorf("%w, only %s", errVersion, httpx.QuoteShort(strings.Join(versions, ", ")))
	case r.request.method != http.MethodPost:
		return errVersion
	}
	return nil
}

// notAllowed returns the meaning of 405.
func notAllowed(r *reply) error {
	if r.overridden { // the server does not allow POST
		return nil
	}
	switch r.request.method {
	case http.MethodPost:
		return fmt.Errorf("%w: %s", ErrUnsupported, extensionCreation)
	case http.MethodDelete:
		return fmt.Errorf("%w: %s", ErrUnsupported, extensionTermination)
	case http.MethodPatch:
		return errPatchBlocked
	}
	return nil
}

// fail returns the error for an unexpected response.
func (t protocolTus) fail(r *reply, cause error) error {
	e := r.fail(t.explain(r, cause))
	e.verdict = t.verdict(r, cause)
	return e
}

// verdict returns the meaning of an unexpected response for the upload.
func (t protocolTus) verdict(r *reply, cause error) verdict {
	status := r.StatusCode
	malformed := status == http.StatusBadRequest
	cutShort := malformed && interrupted(r) // some servers respond 400 if another request stopped the PATCH
	return verdict{
		retryable:  cutShort || isDoubtful(cause),
		contended:  malformed || status == http.StatusConflict || status == http.StatusLocked,
		unstored:   isClientError(status) && !isGone(status) && status != http.StatusRequestTimeout,
		refusesEnd: refusesEnd(r) && !cutShort && !errors.Is(cause, ErrChecksumMismatch),
		malformed:  malformed,
		unsized:    status == http.StatusLengthRequired || status == http.StatusNotImplemented,
		cutOff:     !isTus(r.Header) && (status == http.StatusRequestTimeout || status >= 500),
		emptyOpen:  r.succeeded() || isGone(status) || status == http.StatusInternalServerError,
		hidden:     hides(r),
		aboutParts: aboutParts(status),
		found:      r.secrets.redact(foundNevertheless(r)),
	}
}

// isDoubtful reports whether a response with this cause may not be the server's response to
// the request.
func isDoubtful(cause error) bool {
	return slices.ContainsFunc([]error{errNotTus, errOtherResponse, errNoOffset, errAhead, errNothingStored},
		func(doubtful error) bool { return errors.Is(cause, doubtful) })
}

// interrupted reports whether the server responded 400 because it stopped a PATCH for
// another request, or because the body ended early: ERR_UPLOAD_INTERRUPTED and
// ERR_UNEXPECTED_EOF of tusd, "aborted" of the Node server. The upload resumes after a HEAD.
func interrupted(r *reply) bool {
	text, summary := r.secrets.message(r.Response)
	text += "\n" + summary
	return strings.Contains(text, "ERR_UPLOAD_INTERRUPTED") || strings.Contains(text, "ERR_UNEXPECTED_EOF") ||
		strings.Contains(strings.ToLower(text), "aborted")
}

// refusesEnd reports whether the server may have stored the last bytes of an upload and then
// failed to complete it. A 5xx without Tus-Resumable is from a proxy: the response of the
// server is unknown.
func refusesEnd(r *reply) bool {
	switch r.StatusCode {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusGone, http.StatusRequestTimeout,
		http.StatusConflict, http.StatusLocked, http.StatusPreconditionFailed,
		http.StatusRequestEntityTooLarge, http.StatusMisdirectedRequest,
		http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return isClientError(r.StatusCode) || r.StatusCode >= 500 && isTus(r.Header)
}

// hides reports whether the server refuses to show an upload, for a reason that is that of the
// upload and not temporary.
func hides(r *reply) bool {
	switch status := r.StatusCode; status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired, http.StatusPreconditionFailed, http.StatusMisdirectedRequest:
		return false
	default:
		return r.request.method == http.MethodHead && isClientError(status) && !isGone(status) && !temporaryStatus(status)
	}
}

// aboutParts reports whether the server may have refused a concatenation because it lacks
// parts, or does not accept their paths as URLs.
func aboutParts(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusPreconditionFailed,
		http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return false
	}
	return isClientError(status)
}

// temporaryStatus reports whether a request may succeed later after a refusal with the
// status.
func temporaryStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusLocked, http.StatusTooEarly,
		http.StatusTooManyRequests, statusChecksumMismatch:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500
}

// statusText returns the code and name of a status.
func statusText(status int) string {
	text := http.StatusText(status)
	if status == statusChecksumMismatch {
		text = "Checksum Mismatch"
	}
	if text == "" {
		return "status " + strconv.Itoa(status)
	}
	return strconv.Itoa(status) + " " + text
}
