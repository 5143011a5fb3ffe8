package tus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
)

// Conditions that a program may want to tell apart, for use with errors.Is.
// Every error of this package that comes from talking to a server is also an
// [*Error] (errors.As) with the details of the request.
var (
	// ErrInvalidInput is an argument or option that cannot be used. No request
	// has been sent.
	ErrInvalidInput = errors.New("invalid input")

	// ErrProtocol is an answer that the tus protocol does not allow, such as a
	// negative offset or an offset beyond what was sent.
	ErrProtocol = errors.New("answer violates the tus protocol")

	// ErrVersion is returned when the server does not speak tus 1.0.0 (412).
	ErrVersion = errors.New("server does not support tus " + ProtocolVersion)

	// ErrUnsupported is a feature that needs an extension which the server does
	// not advertise, or a creation or termination that it refuses with 405. It also
	// matches [errors.ErrUnsupported].
	ErrUnsupported = fmt.Errorf("extension not offered by the server: %w", errors.ErrUnsupported)

	// ErrNoLocation is a creation that the server confirmed without telling the
	// upload URL.
	ErrNoLocation = errors.New("creation answered without Location")

	// ErrTooLarge is an upload above the server's Tus-Max-Size, or a request
	// that the server or a proxy refused with 413.
	ErrTooLarge = errors.New("too large for the server")

	// ErrUploadGone is returned when the server has no upload at the URL: it responds
	// 404 or 410 with Tus-Resumable, or, if it never sends that header, through all
	// retries. The upload expired, was terminated or never
	// existed. Resuming it cannot help.
	ErrUploadGone = errors.New("upload does not exist on the server")

	// ErrUploadLocked is an upload that the server keeps locked for another
	// request (423), often a dead connection of our own.
	ErrUploadLocked = errors.New("upload is locked by another request")

	// ErrExists is returned when the server refuses a creation because it already has a
	// resource of that name (409).
	ErrExists = errors.New("resource exists on the server")

	// ErrOffsetConflict is a PATCH refused because the server is at another
	// offset (409). Uploads recover from it by themselves.
	ErrOffsetConflict = errors.New("server is at another offset")

	// ErrChecksumUnsupported is a checksum algorithm that was asked for by name
	// but is not registered, or not offered by the server. Nothing has been
	// created then.
	ErrChecksumUnsupported = checksum.ErrChecksumUnsupported

	// ErrChecksumMismatch is a chunk that did not arrive as it was sent (460, or 417 in
	// response to a request with a checksum).
	ErrChecksumMismatch = errors.New("checksum mismatch")

	// ErrUnauthorized is a request refused with 401 or 403.
	ErrUnauthorized = errors.New("not authorized")

	// ErrStalled is returned when no byte moved for [Options.StallTimeout], or no
	// response came for [Options.ResponseTimeout] after the whole request was sent.
	ErrStalled = errors.New("connection stalled")

	// ErrSourceTimeout is returned when a call of the source took longer than
	// [Options.SourceTimeout].
	ErrSourceTimeout = errors.New("source timed out")

	// ErrSourceChanged is a source that was truncated, grown or replaced while
	// it was uploaded. The upload on the server is not what the source is now.
	ErrSourceChanged = errors.New("source changed during the upload")

	// ErrSourceMismatch is an existing upload whose length on the server is not
	// the size of the source.
	ErrSourceMismatch = errors.New("upload on the server has another length than the source")

	// ErrUnconfirmed is returned when every byte was sent and the server does not confirm
	// that the upload is complete: it refused the request that completes the upload, or
	// no longer has the upload. Look at the server before uploading again; the client
	// sends nothing again, in this session or a later one, until the stored record of the
	// upload is deleted.
	ErrUnconfirmed = errors.New("every byte was sent, but the server does not confirm that the upload is complete")

	// ErrPaused is an upload that stopped before its end because of
	// [Uploader.Pause] or [UploadOptions.StopAt]. Run or Step continue it.
	ErrPaused = errors.New("upload paused")

	// ErrAborted is a Run or Step of an upload that [Uploader.Abort] has given up.
	ErrAborted = errors.New("upload aborted")

	// ErrStore is a store of upload URLs that failed, where the client requires
	// it ([Options.RequireStore]). The store's own error is wrapped too.
	ErrStore = errors.New("store of upload URLs failed")

	// ErrLeaseLost is returned when another [Uploader], perhaps in another process,
	// acquired the lease of the upload because this one did not renew it in time, or when
	// the server reports another request and the store cannot renew the lease.
	ErrLeaseLost = errors.New("lease of the upload lost to another uploader")

	// ErrUploadHeld is returned when another [Uploader] holds the stored upload, with
	// [HeldFail], and by Step while [HeldWait] waits. See [HeldError].
	ErrUploadHeld = errors.New("stored upload is held by another uploader")

	// ErrNotRecoverable is an upload from a stream whose server needs bytes that
	// are neither in the buffer any more nor can be read again. See
	// [StreamError].
	ErrNotRecoverable = errors.New("bytes of the stream cannot be sent again")

	// ErrBusy is a second goroutine driving an [Uploader] at the same time.
	ErrBusy = errors.New("uploader is being driven by another goroutine")
)

// StoredError is returned when the server keeps refusing an upload that was found in the
// store. Later uploads of the same source meet it again, unless the record is deleted
// from the store: then they start over. errors.Is and errors.As find the refusal.
type StoredError struct {
	// ID is that of the record. [Client.PreviousUploads] returns the record, with the
	// revision that [storage.Store.Delete] needs.
	ID string
	// Created is when the upload was created.
	Created time.Time
	// Acknowledged is how many bytes of it the server has acknowledged in this session;
	// 0 if it refused to tell its offset.
	Acknowledged int64
	// Err is the refusal.
	Err error
}

// Error names the record, what is known of the upload, and the refusal.
func (e *StoredError) Error() string {
	known := ""
	if e.Acknowledged > 0 {
		known = fmt.Sprintf(", %d bytes acknowledged", e.Acknowledged)
	}
	return fmt.Sprintf("stored upload of %s%s (delete record %s from the store to start over): %v",
		e.Created.UTC().Format(time.RFC3339), known, e.ID, e.Err)
}

// Unwrap returns the refusal.
func (e *StoredError) Unwrap() error { return e.Err }

// errNothingStored is a PATCH that succeeded without storing a byte. It is
// retried like a failure: otherwise such a server would be asked for ever.
var errNothingStored = errors.New("server stored nothing of what was sent")

// errAhead is an answer that came before the body had left, and confirms more
// than had. A duplicated or reordered answer does that; only HEAD tells.
var errAhead = errors.New("server confirmed bytes that had not been sent")

// errOtherAnswer is the answer to a creation in place of that to another request, as
// something in between makes that answers twice. What the request did only HEAD tells.
var errOtherAnswer = errors.New("answer is one to a creation")

// errNoOffset is a successful PATCH without Upload-Offset, as of a login page. What it did
// only HEAD tells.
var errNoOffset = fmt.Errorf("%w: no %s", ErrProtocol, headerUploadOffset)

// errStale is a HEAD whose offset lies below one that the server acknowledged, as a replica
// that lags behind sends it.
var errStale = errors.New("offset is below one that the server acknowledged")

// errStillConcatenating is a final upload that the server is not done with.
var errStillConcatenating = errors.New("final upload is not complete yet")

// Error is a request that failed: it was not answered, or not as hoped.
type Error struct {
	// Method is the HTTP method, such as "PATCH".
	Method string
	// URL is where the request went, without userinfo, query and fragment.
	URL string
	// StatusCode is the status of the answer, 0 if there was none.
	StatusCode int
	// Offset is the offset in bytes that a PATCH started from, otherwise 0.
	Offset int64
	// Message is what the server said in the body, of an HTML page its title, cut
	// to a few hundred printable characters, with the values of secret headers
	// removed.
	Message string
	// RetryAfter is the wait that the server asked for; 0 if it did not.
	RetryAfter time.Duration
	// Err is the condition (one of the Err… variables) or the cause, such as a
	// network error. It may be nil for a plain unexpected status.
	Err error

	interrupted bool // the server told of it, perhaps on a page
	tus         bool // the response has Tus-Resumable
}

// Error names method, URL, status, offset, condition and the server's words.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("tus: ")
	b.WriteString(e.Method)
	b.WriteByte(' ')
	b.WriteString(e.URL)
	if e.Method == http.MethodPatch {
		b.WriteString(" at offset ")
		b.WriteString(strconv.FormatInt(e.Offset, 10))
	}
	if e.StatusCode != 0 {
		b.WriteString(": ")
		b.WriteString(statusText(e.StatusCode))
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	if e.Message != "" {
		b.WriteString(": server says ")
		b.WriteString(strconv.Quote(e.Message))
	}
	return b.String()
}

// Unwrap returns the condition or cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether the same request may succeed later: the network
// failed, the server is overloaded, or another request holds the upload.
func (e *Error) Temporary() bool {
	switch code := e.StatusCode; {
	case errors.Is(e.Err, errNothingStored), errors.Is(e.Err, errStillConcatenating), errors.Is(e.Err, errStale),
		errors.Is(e.Err, errAhead), errors.Is(e.Err, errOtherAnswer), errors.Is(e.Err, errNotTus), errors.Is(e.Err, errNoOffset):
		return true
	case errors.Is(e.Err, ErrProtocol), errors.Is(e.Err, ErrInvalidInput), errors.Is(e.Err, ErrUnconfirmed), errors.Is(e.Err, ErrExists):
		return false
	case code == 0:
		return temporaryCause(e.Err)
	case errors.Is(e.Err, ErrChecksumMismatch):
		return true
	case code == http.StatusRequestTimeout, code == http.StatusConflict, code == http.StatusLocked,
		code == http.StatusTooEarly, code == http.StatusTooManyRequests, code == statusChecksumMismatch:
		return true
	case code == http.StatusBadRequest:
		return e.interrupted || interrupted(e.Message)
	case code == http.StatusNotImplemented, code == http.StatusHTTPVersionNotSupported:
		return false
	default:
		return code >= 500
	}
}

// outcomeUnknown reports whether the server may have done what it was asked for
// without our learning of it. A request that never got a connection was not
// served.
func (e *Error) outcomeUnknown() bool {
	switch {
	case errors.Is(e.Err, errOtherAnswer):
		return true
	case e.StatusCode == 0:
		return temporaryCause(e.Err) && !unsent(e.Err)
	}
	return e.StatusCode >= 500 && e.StatusCode != http.StatusNotImplemented && e.StatusCode != http.StatusServiceUnavailable
}

// connectError is why a request got no connection, and so was not sent.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// proxyError is a response of a proxy that refused to connect to the server.
type proxyError struct {
	code   int
	status string // code and reason, as the proxy sent them
}

func (e *proxyError) Error() string {
	return "proxy refuses to connect to the server: " + excerpt(e.status)
}

// wantsLogin reports whether a proxy refused a connection for want of credentials. Of a
// transport that is not that of [NewTransport] only the text tells.
func wantsLogin(err error) bool {
	var proxy *proxyError
	var connect *connectError
	if errors.As(err, &proxy) {
		return proxy.code == http.StatusProxyAuthRequired
	}
	return errors.As(err, &connect) && connect.Error() == http.StatusText(http.StatusProxyAuthRequired)
}

// unsentError is why a request was given up before anything of it was sent: the context
// ended, or the source could not be opened.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

// unsent reports whether nothing of a request was sent, also because there was no
// connection.
func unsent(err error) bool {
	var e *unsentError
	var connect *connectError
	var dial *net.OpError // of a transport that is not one of net/http
	return errors.As(err, &e) || errors.As(err, &connect) || errors.As(err, &dial) && dial.Op == "dial"
}

// outcomeUnknown is the same for any error.
func outcomeUnknown(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.outcomeUnknown()
}

// IsTemporary reports whether err is a failure that a later attempt may not
// meet, as the default retry policy judges it. Errors of the context, of the
// source and of the caller's hooks are not temporary, but that the process or the
// system has no free file descriptor (EMFILE, ENFILE) is, wherever it shows.
func IsTemporary(err error) bool {
	var e *Error
	var ended *endedError
	var interrupted *interruptedError
	switch {
	case errors.As(err, &ended), errors.As(err, &interrupted), errors.Is(err, ErrUnconfirmed):
		return false
	case heldForNow(err), outOfDescriptors(err):
		return true
	}
	return errors.As(err, &e) && e.Temporary() && !errors.Is(err, errSource)
}

// temporaryCause judges a request that got no answer. Only what cannot heal by
// itself is permanent: certificates, and the wrong kind of server.
func temporaryCause(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var hook *hookError
	switch {
	case err == nil, errors.As(err, &hook), wantsLogin(err):
		return false
	case outOfDescriptors(err):
		return true
	case errors.As(err, &certificate), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch), refusedByTLS(err):
		return false
	case errors.Is(err, ErrSourceChanged), errors.Is(err, errSource):
		return false
	}
	return true
}

// refusalsOfTLS are the alerts (RFC 8446, 6.2) of a server that does not want our
// certificate, or the protocols that we know, and will not want them later.
var refusalsOfTLS = []tls.AlertError{
	40,  // handshake failure; also of a certificate that is missing, before TLS 1.3
	42,  // bad certificate
	43,  // unsupported certificate
	44,  // certificate revoked
	45,  // certificate expired
	46,  // certificate unknown
	48,  // unknown certificate authority
	49,  // access denied
	70,  // protocol version
	71,  // insufficient security
	116, // certificate required
	120, // no application protocol
}

// refusedByTLS reports whether the handshake failed for what stays as it is. An
// alert over TCP has no exported type, but the text of one that has.
func refusedByTLS(err error) bool {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		remote    *net.OpError
	)
	if errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &host) { // found by the caller's own verification
		return true
	}
	return errors.As(err, &remote) && remote.Op == "remote error" && slices.ContainsFunc(refusalsOfTLS, func(alert tls.AlertError) bool {
		return remote.Err.Error() == alert.Error()
	})
}

// contended reports whether a PATCH was refused because another request, perhaps
// of another client, works on the upload.
func contended(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.StatusCode == http.StatusConflict || e.StatusCode == http.StatusLocked ||
		e.StatusCode == http.StatusBadRequest)
}

// interrupted recognises the 400 by which a server says that it broke off a
// PATCH for another request, or that the body ended early: ERR_UPLOAD_INTERRUPTED
// and ERR_UNEXPECTED_EOF of tusd, "aborted" of the Node server. Only the offset has to be asked for again.
func interrupted(message string) bool {
	return strings.Contains(message, "ERR_UPLOAD_INTERRUPTED") || strings.Contains(message, "ERR_UNEXPECTED_EOF") ||
		strings.Contains(strings.ToLower(message), "aborted")
}

// hookError is an error that a hook of the caller returned.
type hookError struct{ err error }

func (e *hookError) Error() string { return "before-request hook: " + e.err.Error() }
func (e *hookError) Unwrap() error { return e.err }

// ofHook reports whether a hook returned err, which may match any error of ours.
func ofHook(err error) bool {
	var hook *hookError
	return errors.As(err, &hook)
}

// endedError is a Run or Step on an upload that has failed or was aborted.
type endedError struct {
	state State
	cause error // ErrAborted if it was aborted
}

func (e *endedError) Error() string {
	if e.state == StateAborted {
		return "tus: " + e.cause.Error()
	}
	return fmt.Sprintf("tus: upload is %v: %v", e.state, e.cause)
}

func (e *endedError) Unwrap() error { return e.cause }

// wasAborted reports whether err is that of a Run of an upload that was aborted. What
// a hook or a source returns may match [ErrAborted], too.
func wasAborted(err error) bool {
	e, ok := err.(*endedError)
	return ok && e.state == StateAborted
}

// errSource marks errors that the source returned while it was read.
var errSource = errors.New("reading the source")

// contextError is the error of a context that ended, with its cause if the
// caller gave one: both match errors.Is.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// interruptedError is a failure that came together with the end of the context. It
// matches both.
type interruptedError struct{ ended, failure error }

func (e *interruptedError) Error() string   { return e.ended.Error() + ": " + e.failure.Error() }
func (e *interruptedError) Unwrap() []error { return []error{e.ended, e.failure} }

// withContext adds the end of ctx to a failure that does not tell of it.
func withContext(ctx context.Context, failure error) error {
	if failure == nil || ctx.Err() == nil || errors.Is(failure, ctx.Err()) {
		return failure
	}
	return &interruptedError{contextError(ctx), failure}
}

func statusText(code int) string {
	text := http.StatusText(code)
	if code == statusChecksumMismatch {
		text = "Checksum Mismatch"
	}
	if text == "" {
		return "status " + strconv.Itoa(code)
	}
	return strconv.Itoa(code) + " " + text
}
