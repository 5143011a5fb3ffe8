package main

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/seed-175555ba/tus-go/tus"
)

// reach records whether a server has responded. Until then a host that cannot be resolved
// is most likely misspelled, and is retried only once.
type reach struct{ responded atomic.Bool }

// response is a [tus.Hooks.AfterResponse].
func (r *reach) response(*http.Request, *tus.Response) { r.responded.Store(true) }

// shouldRetry is a [tus.RetryPolicy.ShouldRetry].
func (r *reach) shouldRetry(err error, attempt int) bool {
	var (
		host   *net.DNSError
		failed *tus.Error
	)
	switch {
	case errors.As(err, &host) && host.IsNotFound && !r.responded.Load():
		return attempt < 2
	case errors.As(err, &failed) && failed.StatusCode == http.StatusInsufficientStorage:
		return attempt < 2 // as without this function
	}
	return tus.IsRetryable(err)
}
