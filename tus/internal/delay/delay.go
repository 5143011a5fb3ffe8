// Package delay has the waits between retries.
package delay

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	first   = 500 * time.Millisecond
	longest = time.Minute
)

// Default returns the wait before a retry. attempt counts the retries in a row, from 1. The
// first one is immediate, the next is after half a second, and then the waits double up to a
// minute, each with a random part.
func Default(attempt int) time.Duration {
	if attempt <= 1 {
		return 0
	}
	doublings := min(attempt-2, 7) // more would exceed a minute
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(min(first<<doublings, longest)),
		backoff.WithRandomizationFactor(0.3),
	).NextBackOff()
}
