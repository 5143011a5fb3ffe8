package link

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	firstDelay   = time.Second
	longestDelay = 5 * time.Minute
)

// NewBackoff returns an endless back-off of at most longestDelay. Its randomness keeps the
// machines of a site from returning to a server at the same moment.
func NewBackoff() *backoff.ExponentialBackOff {
	const randomness = 0.25
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(firstDelay),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(randomness),
		backoff.WithMaxInterval(time.Duration(float64(longestDelay)/(1+randomness))),
		backoff.WithMaxElapsedTime(0),
	)
}
