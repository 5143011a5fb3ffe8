package tus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// Conditions that a program may handle, for use with errors.Is. Every error about a request
// is also an [*Error] (errors.As) with its details.
var (
	// ErrInvalidInput is returned when an argument or option cannot be used. No request
	// has been sent.
	ErrInvalidInput = errors.New("invalid input")

	// ErrProtocol is returned when the tus protocol does not allow a response, such as a
	// negative offset, an offset beyond what was sent, or a creation without an upload URL.
	ErrProtocol = errors.New("response violates the tus protocol")

	// ErrUnsupported is returned when an option requires an extension or a checksum algorithm
	// that the server does not advertise, when the server refuses a creation or termination
	// with 405, and when it does not support tus 1.0.0 (412). It also matches
	// [errors.ErrUnsupported].
	ErrUnsupported error = unsupportedError{}

	// ErrTooLarge is returned when an upload exceeds the server's Tus-Max-Size, or the
	// server or a proxy refused a request with 413.
	ErrTooLarge = errors.New("too large for the server")

	// ErrUploadGone is returned when the server has no upload at the URL: it responds 404 or
	// 410 with Tus-Resumable or, if it never sends that header, to all retries. The upload
	// expired, was terminated or never existed. It cannot be resumed.
	ErrUploadGone = errors.New("upload does not exist on the server")

	// ErrChecksumMismatch is returned when the server received corrupt bytes
	// (460, or 417 in response to a request with a checksum).
	ErrChecksumMismatch = errors.New("checksum mismatch")

	// ErrUnauthorized is returned when the server responds 401 or 403.
	ErrUnauthorized = errors.New("not authorized")

	// ErrStalled is returned when no data moved for [Options.StallTimeout], or no
	// response arrived for [Options.ResponseTimeout] after the whole request was sent.
	ErrStalled = errors.New("connection stalled")

	// ErrSourceChanged is returned when the source was modified or replaced during the
	// upload; with [UploadOptions.Digest] or Token, also between two sessions. The upload on the
	// server differs from the source.
	ErrSourceChanged = errors.New("source changed during the upload")

	// ErrSourceMismatch is returned when the length of an existing upload differs from the
	// size of the source, and when a [ReaderN] has fewer or more bytes than its size.
	ErrSourceMismatch = errors.New("source has another size than the upload")

	// ErrUnconfirmed is returned when every byte was sent but the server does not
	// acknowledge that the upload is complete: it refused the request that completes the
	// upload, or no longer has the upload. Check the server before uploading again. The
	// client resends nothing, in this session or a later one, until the stored record of
	// the upload is deleted.
	ErrUnconfirmed = errors.New("every byte was sent, but the server does not acknowledge that the upload is complete")

	// ErrPaused is returned when [Uploader.Pause] or [UploadOptions.StopAt] stopped the
	// upload before its end. Run or Step resumes it.
	ErrPaused = errors.New("upload paused")

	// ErrAborted is returned by Run and Step after [Uploader.Abort].
	ErrAborted = errors.New("upload aborted")

	// ErrStore is returned when the store fails and [Options.RequireStore] is set. The
	// store's own error is wrapped too.
	ErrStore = errors.New("store of upload URLs failed")

	// ErrLeaseLost is returned when another [Uploader], which may be in another process,
	// acquired the lease of the upload because this one did not renew it in time, or when
	// the server reports another request and the store cannot renew the lease.
	ErrLeaseLost = errors.New("lease of the upload lost to another uploader")

	// ErrNotRecoverable is returned when the server lacks bytes of a stream that are no
	// longer in the buffer and cannot be read again.
	ErrNotRecoverable = errors.New("bytes of the stream cannot be resent")

	// ErrBusy is returned when another goroutine drives the [Uploader].
	ErrBusy = errors.New("uploader is being driven by another goroutine")
)

// unsupportedError matches errors.ErrUnsupported without repeating its text.
type unsupportedError struct{}

func (unsupportedError) Error() string        { return "not supported by the server" }
func (unsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

// errOtherResponse is the cause of an error if the response to another request belongs to a
// creation, as from a proxy that responds twice. Only HEAD shows the effect of the request.
var errOtherResponse = errors.New("response belongs to a creation")

// errStale is the cause of an error if HEAD returns an offset below one that the server
// acknowledged, as from a replica that lags behind.
var errStale = errors.New("offset is below one that the server acknowledged")

// errStillConcatenating is the cause of an error if the server has not completed the final
// upload yet.
var errStillConcatenating = errors.New("final upload is not complete yet")

// Error describes a failed request: no response, or an unexpected one.
type Error struct {
	// Method is the HTTP method, such as "PATCH".
	Method string
	// URL is the URL of the request, without userinfo, query and fragment.
	URL string
	// StatusCode is the status of the response, 0 if there was none.
	StatusCode int
	// Offset is the offset in bytes of a PATCH, otherwise 0.
	Offset int64
	// Message is the body of the response, or the title of an HTML page, cut to a few
	// hundred printable characters, without the values of secret headers.
	Message string
	// RequestID is the ID that the request was sent with, and ServerRequestID that of the
	// response if it is another; both are empty without [Options.RequestIDHeader].
	RequestID, ServerRequestID string
	// RetryAfter is the wait that the response requests; 0 if none.
	RetryAfter time.Duration
	// Err is the condition (one of the Err… variables) or the cause, such as a network
	// error. It may be nil if the status stands for none of these conditions. For a response
	// without Tus-Resumable, its text names who sent it (Server, Via) and the likely reason.
	Err error

	verdict verdict
}

// Error returns method, URL, offset, status, condition, message and request IDs.
func (e *Error) Error() string {
	text := "tus: " + e.Method + " " + e.URL
	if e.Method == http.MethodPatch {
		text += fmt.Sprintf(" at offset %d", e.Offset)
	}
	if e.StatusCode != 0 {
		text += ": " + statusText(e.StatusCode)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Message != "" {
		text += ": response " + strconv.Quote(e.Message)
	}
	if e.RequestID != "" {
		text += " (request ID " + e.RequestID + ")"
	}
	if e.ServerRequestID != "" {
		text += " (server's request ID " + e.ServerRequestID + ")"
	}
	return text
}

// Unwrap returns the condition or cause.
func (e *Error) Unwrap() error { return e.Err }

// retryable reports whether the same request may succeed later: the network failed, the
// server is overloaded, or another request holds the upload.
func (e *Error) retryable() bool {
	switch {
	case e.verdict.retryable, errors.Is(e.Err, errStillConcatenating), errors.Is(e.Err, errStale), errors.Is(e.Err, errFound):
		return true
	case errors.Is(e.Err, ErrProtocol), errors.Is(e.Err, ErrInvalidInput), errors.Is(e.Err, ErrUnconfirmed), errors.Is(e.Err, errExists):
		return false
	case e.StatusCode == 0:
		return temporaryCause(e.Err)
	case errors.Is(e.Err, ErrChecksumMismatch):
		return true
	}
	return temporaryStatus(e.StatusCode)
}

// outcomeUnknown reports whether the server may have processed the request that failed. A
// request without a connection was not processed.
func outcomeUnknown(err error) bool {
	var e *Error
	switch {
	case !errors.As(err, &e):
		return false
	case errors.Is(e.Err, errOtherResponse):
		return true
	case e.StatusCode == 0:
		return temporaryCause(e.Err) && !unsent(e.Err)
	}
	return e.StatusCode >= 500 && e.StatusCode != http.StatusNotImplemented && e.StatusCode != http.StatusServiceUnavailable
}

// IsRetryable reports whether a retry may succeed after err; the default retry policy uses
// it. Errors of the context, of the source and of the caller's hooks are not retryable. The
// lack of a free file descriptor (EMFILE, ENFILE) is, wherever it occurs.
func IsRetryable(err error) bool {
	var e *Error
	var ended *endedError
	var interrupted *interruptedError
	switch {
	case errors.As(err, &ended), errors.As(err, &interrupted), errors.Is(err, ErrUnconfirmed):
		return false
	case heldForNow(err), outOfDescriptors(err):
		return true
	}
	return errors.As(err, &e) && e.retryable() && !errors.Is(err, errSource)
}

// hookError is an error that a hook of the caller returned.
type hookError struct{ err error }

func (e *hookError) Error() string { return "before-request hook: " + e.err.Error() }
func (e *hookError) Unwrap() error { return e.err }

// isHookError reports whether err is from a hook, and so may match any error of this package.
func isHookError(err error) bool {
	var hook *hookError
	return errors.As(err, &hook)
}

// endedError is returned by Run and Step after the upload has failed or was aborted.
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

// errSource marks errors that the source returned while it was read.
var errSource = errors.New("reading the source")

// sourceError marks an error of the source with errSource, or with ErrSourceChanged if it is
// about the size.
func sourceError(err error) error {
	var size *send.SizeError
	switch {
	case errors.Is(err, ErrSourceChanged):
		return err
	case errors.As(err, &size):
		return fmt.Errorf("%w: %w", ErrSourceChanged, err)
	}
	return fmt.Errorf("%w: %w", errSource, err)
}

// shortSource is sourceError for an operation that returns the error short if the source
// ends early.
func shortSource(err, short error) error {
	if errors.Is(err, short) {
		return fmt.Errorf("%w: %w", ErrSourceChanged, err)
	}
	return sourceError(err)
}

// interruptedError is a failure together with the error of a context that ended at the same
// time. It matches both.
type interruptedError struct{ ended, failure error }

func (e *interruptedError) Error() string   { return e.ended.Error() + ": " + e.failure.Error() }
func (e *interruptedError) Unwrap() []error { return []error{e.ended, e.failure} }

// withContext adds the error of ctx, if it has ended, to a failure that does not match it.
func withContext(ctx context.Context, failure error) error {
	if failure == nil || ctx.Err() == nil || errors.Is(failure, ctx.Err()) {
		return failure
	}
	return &interruptedError{async.ContextError(ctx), failure}
}
