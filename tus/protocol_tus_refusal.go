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

// What a refusal of tus 1.0.0 means.

// statusChecksumMismatch is "460 Checksum Mismatch" of the checksum extension.
const statusChecksumMismatch = 460

// notOfTus is the text about a response that a tus server would have sent otherwise.
const notOfTus = "response without " + headerTusResumable + ", possibly from a proxy or firewall"

// errNotTus is a response without Tus-Resumable where the server has to send it, such as
// that of a proxy without a route, a login page or a firewall. It is retried.
var errNotTus = fmt.Errorf("%w: %s", ErrProtocol, notOfTus)

// errSeemsGone is a 404 or 410 without Tus-Resumable, from a proxy or from a tus server that
// never sends the header.
var errSeemsGone = fmt.Errorf("%w", errNotTus)

// What these statuses mean. [Error.StatusCode] tells programs.
var (
	errLocked   = errors.New("upload is locked by another request") // often one of a dead connection of this client
	errExists   = errors.New("resource exists on the server")
	errConflict = errors.New("server is at another offset")
	errVersion  = fmt.Errorf("%w: tus %s", ErrUnsupported, protocolVersion)
)

// errPatchBlocked is a PATCH to a resource that takes none.
var errPatchBlocked = errors.New("PATCH is not allowed here, or blocked by a proxy: see Options.OverridePatchMethod")

// checkUpload is check for a request to an upload URL, where 404 and 410 mean that the
// upload is gone.
func (t protocolTus) checkUpload(r *reply) error {
	switch gone := isGone(r.StatusCode); {
	case r.StatusCode == http.StatusCreated && r.Header.Get(headerLocation) != "":
		return t.fail(r, errOtherResponse)
	case gone && !ofTus(r.Header):
		return t.fail(r, errSeemsGone)
	case gone:
		return t.fail(r, ErrUploadGone)
	}
	return t.check(r)
}

func isGone(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }

// check returns nil for any 2xx, otherwise the error that the status means.
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
		cause = fmt.Errorf("%w: the credentials of the client were not sent, as %v is not one of Options.TrustedOrigins", ErrUnauthorized, r.from.foreign)
	case r.StatusCode >= 300 && r.StatusCode <= 399:
		cause = fmt.Errorf("%w: status that is no redirect with a %s", ErrProtocol, headerLocation)
	}
	if cause == nil && isClientError(r.StatusCode) || cause == ErrUnauthorized && r.StatusCode == http.StatusForbidden {
		return ofFirewall(r.Header, cause)
	}
	return cause
}

func isClientError(status int) bool { return status >= 400 && status <= 499 }

// condition returns what the status of a refusal stands for, nil if it has no special
// meaning.
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

// conflict returns what 409 means. One to the creation of a final upload may be about a
// locked part.
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

// otherVersion returns what 412 means. A creation may also be refused for a precondition
// of the service.
func otherVersion(r *reply) error {
	switch versions := parseList(r.Header, headerTusVersion); {
	case slices.Contains(versions, protocolVersion):
		return nil
	case len(versions) > 0:
		return fmt.Errorf("%w: it offers %s", errVersion, httpx.QuoteShort(strings.Join(versions, ", ")))
	case r.request.method != http.MethodPost:
		return errVersion
	}
	return nil
}

// notAllowed returns what a server lacks that does not allow a method.
func notAllowed(r *reply) error {
	if r.overridden { // then it does not allow POST
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

// ofFirewall adds to the cause of a refusal, which may be nil, that the tus server may not
// have sent it.
func ofFirewall(h http.Header, cause error) error {
	if ofTus(h) {
		return cause
	}
	var senders []string
	for _, name := range []string{"Server", "Via"} {
		if value := h.Get(name); value != "" {
			senders = append(senders, name+" "+httpx.QuoteShort(value))
		}
	}
	text := notOfTus
	if len(senders) > 0 {
		text += " (" + strings.Join(senders, ", ") + ")"
	}
	if cause == nil {
		return errors.New(text)
	}
	return fmt.Errorf("%w: %s", cause, text)
}

// fail returns the error for an unexpected response.
func (t protocolTus) fail(r *reply, cause error) error {
	e := r.fail(cause)
	e.verdict = t.judge(r, cause)
	return e
}

// judge returns what an unexpected response means for the upload.
func (t protocolTus) judge(r *reply, cause error) verdict {
	status := r.StatusCode
	malformed := status == http.StatusBadRequest
	cutShort := malformed && interrupted(r) // some servers respond 400 to a PATCH that another request stopped
	return verdict{
		retryable:  cutShort || isDoubtful(cause),
		contended:  malformed || status == http.StatusConflict || status == http.StatusLocked,
		unstored:   isClientError(status) && !isGone(status) && status != http.StatusRequestTimeout,
		refusesEnd: refusesEnd(r) && !cutShort && !errors.Is(cause, ErrChecksumMismatch),
		malformed:  malformed,
		unsized:    status == http.StatusLengthRequired || status == http.StatusNotImplemented,
		emptyOpen:  r.succeeded() || isGone(status) || status == http.StatusInternalServerError,
		aboutParts: aboutParts(status),
	}
}

// isDoubtful reports whether the cause is a response that may not be the server's response
// to the request.
func isDoubtful(cause error) bool {
	return slices.ContainsFunc([]error{errNotTus, errOtherResponse, errNoOffset, errAhead, errNothingStored},
		func(doubtful error) bool { return errors.Is(cause, doubtful) })
}

// interrupted reports whether a 400 says that the server stopped a PATCH for another
// request, or that the body ended early: ERR_UPLOAD_INTERRUPTED and ERR_UNEXPECTED_EOF of
// tusd, "aborted" of the Node server. Only the offset has to be requested again.
func interrupted(r *reply) bool {
	text, words := r.message()
	text += "\n" + words
	return strings.Contains(text, "ERR_UPLOAD_INTERRUPTED") || strings.Contains(text, "ERR_UNEXPECTED_EOF") ||
		strings.Contains(strings.ToLower(text), "aborted")
}

// refusesEnd reports whether the status is that of a server which may have stored the last
// bytes of an upload and failed at what follows. A 5xx without Tus-Resumable is a proxy's:
// the response of the server is lost, and nothing was refused.
func refusesEnd(r *reply) bool {
	switch r.StatusCode {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusGone, http.StatusRequestTimeout,
		http.StatusConflict, http.StatusLocked, http.StatusPreconditionFailed,
		http.StatusRequestEntityTooLarge, http.StatusMisdirectedRequest,
		http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return isClientError(r.StatusCode) || r.StatusCode >= 500 && ofTus(r.Header)
}

// aboutParts reports whether a refused concatenation may mean that the server lacks parts,
// or does not accept their paths as URLs.
func aboutParts(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusPreconditionFailed,
		http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return false
	}
	return isClientError(status)
}

// temporaryStatus reports whether a refusal with a status invites a retry, if nothing else
// of the response is known.
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

// statusText returns a status with its name.
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
