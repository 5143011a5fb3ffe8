package spool

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"syscall"

	"github.com/seed-175555ba/tus-go/tus"
)

// ErrWait is returned by an [Uploader] for a file that has to wait, for a reason that
// concerns neither the file nor the server. Other files are uploaded meanwhile.
var ErrWait = errors.New("file has to wait")

// verdict attributes a failed upload.
type verdict int

const (
	interrupted   verdict = iota // by the end of the context
	sourceChanged                // the file is not complete yet
	tryLater                     // another process uploads the file, or this machine is short of something
	serverDown                   // the network, the credentials or the load: counts for no file
	storeDown                    // the store of upload URLs failed: counts for no file
	serverFailed                 // counts for the file if the server accepts other files
	fileUnread                   // counts for the file
	fileRefused                  // no retry can succeed
)

// judge returns the verdict on the error of an upload.
func judge(err error) verdict {
	var held *tus.HeldError
	var path *fs.PathError
	var e *tus.Error
	isRequest := errors.As(err, &e)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, tus.ErrPaused):
		return interrupted
	case errors.Is(err, tus.ErrSourceChanged):
		return sourceChanged
	case errors.Is(err, ErrWait):
		return tryLater
	case errors.Is(err, tus.ErrStore):
		return storeDown
	case errors.As(err, &held), errors.Is(err, tus.ErrLeaseLost), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		!isRequest && errors.Is(err, os.ErrDeadlineExceeded): // a file system that does not respond
		return tryLater
	case errors.As(err, &path):
		return fileUnread
	case isRequest && e.StatusCode == 0 && !errors.Is(err, tus.ErrProtocol) && !errors.Is(err, tus.ErrInvalidInput),
		errors.Is(err, tus.ErrStalled):
		return serverDown
	case errors.Is(err, tus.ErrUnconfirmed), errors.Is(err, tus.ErrUnsupported), errors.Is(err, tus.ErrInvalidInput),
		errors.Is(err, tus.ErrSourceMismatch), errors.Is(err, tus.ErrTooLarge):
		return fileRefused
	case errors.Is(err, tus.ErrProtocol), errors.Is(err, tus.ErrChecksumMismatch):
		return serverFailed
	case isRequest:
		return judgeStatus(e.StatusCode)
	}
	return fileUnread
}

// judgeStatus returns the verdict on the status of a response.
func judgeStatus(status int) verdict {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusRequestTimeout,
		http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusInsufficientStorage,
		http.StatusNetworkAuthenticationRequired:
		return serverDown
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusConflict, http.StatusGone:
		return serverFailed // the endpoint may be wrong
	}
	if status >= 400 && status < 500 {
		return fileRefused
	}
	return serverFailed
}
