// Package retry implements the defaults of tus.RetryPolicy, for uploads and for
// tus/httpsource.
package retry

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	defaultRetries       = 8
	defaultMaxRetryAfter = 5 * time.Minute
	// firstDelay is the wait before the second retry, after which the waits double.
	firstDelay = 500 * time.Millisecond
	maxDelay   = time.Minute
)

// Policy has the fields of tus.RetryPolicy, which documents them.
type Policy struct {
	MaxRetries    int
	Delay         func(attempt int) time.Duration
	MaxRetryAfter time.Duration
	ShouldRetry   func(err error, attempt int) bool
}

// Retries returns how many failures in a row are retried.
func (p Policy) Retries() int {
	if p.MaxRetries == 0 {
		return defaultRetries
	}
	return max(0, p.MaxRetries)
}

// Wait returns the wait before a retry. attempt counts the retries in a row, from 1.
// retryAfter is the wait that the server requested; 0 for none.
func (p Policy) Wait(attempt int, retryAfter time.Duration) time.Duration {
	limit := p.MaxRetryAfter
	if limit <= 0 {
		limit = defaultMaxRetryAfter
	}
	delay := defaultDelay
	if p.Delay != nil {
		delay = p.Delay
	}
	return max(0, delay(attempt), min(retryAfter, limit))
}

func defaultDelay(attempt int) time.Duration {
	if attempt <= 1 {
		return 0
	}
	doublings := min(attempt-2, 7) // more would exceed a minute
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(min(firstDelay<<doublings, maxDelay)),
		backoff.WithRandomizationFactor(0.3),
	).NextBackOff()
}
