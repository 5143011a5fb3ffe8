package link

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"syscall"

	"github.com/seed-175555ba/tus-go/tus"
)

// ErrWait is the error of a file that has to wait, for a reason that concerns neither the file
// nor the server. Other files are uploaded meanwhile.
var ErrWait = errors.New("file has to wait")

// Verdict attributes a failed upload.
type Verdict int

// Verdicts.
const (
	Interrupted   Verdict = iota // by the end of the context
	SourceChanged                // the file is not complete yet
	TryLater                     // another process uploads the file, or this machine is short of something
	ServerDown                   // the network, the credentials or the load: counts for no file
	StoreDown                    // the store of upload URLs failed: counts for no file
	ServerFailed                 // counts for the file if the server accepts other files
	FileUnread                   // counts for the file
	FileRefused                  // no retry can succeed
)

// Judge returns the verdict on the error of an upload.
func Judge(err error) Verdict {
	var held *tus.HeldError
	var path *fs.PathError
	var e *tus.Error
	isRequest := errors.As(err, &e)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, tus.ErrPaused):
		return Interrupted
	case errors.Is(err, tus.ErrSourceChanged):
		return SourceChanged
	case errors.Is(err, ErrWait):
		return TryLater
	case errors.Is(err, tus.ErrStore):
		return StoreDown
	case errors.As(err, &held), errors.Is(err, tus.ErrLeaseLost), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		!isRequest && errors.Is(err, os.ErrDeadlineExceeded): // a file system that does not respond
		return TryLater
	case errors.As(err, &path):
		return FileUnread
	case isRequest && e.StatusCode == 0 && !errors.Is(err, tus.ErrProtocol) && !errors.Is(err, tus.ErrInvalidInput),
		errors.Is(err, tus.ErrStalled):
		return ServerDown
	case errors.Is(err, tus.ErrUnconfirmed), errors.Is(err, tus.ErrUnsupported), errors.Is(err, tus.ErrInvalidInput),
		errors.Is(err, tus.ErrSourceMismatch), errors.Is(err, tus.ErrTooLarge):
		return FileRefused
	case errors.Is(err, tus.ErrProtocol), errors.Is(err, tus.ErrChecksumMismatch):
		return ServerFailed
	case isRequest:
		return judgeStatus(e.StatusCode)
	}
	return FileUnread
}

// judgeStatus returns the verdict on the status of a response.
func judgeStatus(status int) Verdict {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusRequestTimeout,
		http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusInsufficientStorage,
		http.StatusNetworkAuthenticationRequired:
		return ServerDown
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusConflict, http.StatusGone:
		return ServerFailed // the endpoint may be wrong
	}
	if status >= 400 && status < 500 {
		return FileRefused
	}
	return ServerFailed
}
