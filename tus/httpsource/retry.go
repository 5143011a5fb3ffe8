package httpsource

import (
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/seed-175555ba/tus-go/tus"
)

// budget counts the failures of a reader since bytes last came, by the defaults
// that tus.RetryPolicy documents.
type budget struct {
	policy   tus.RetryPolicy
	failures int
	backoff  backoff.BackOff
}

func (b *budget) reset() { b.failures, b.backoff = 0, nil }

// next counts a failure and returns the wait before the next attempt. ok is
// false if there must not be one.
func (b *budget) next(failure error) (wait time.Duration, ok bool) {
	b.failures++
	retry := tus.IsTemporary(failure)
	if b.policy.ShouldRetry != nil {
		retry = b.policy.ShouldRetry(failure, b.failures)
	}
	if !retry || b.failures > b.maxRetries() {
		return 0, false
	}
	if b.failures > 1 {
		if b.backoff == nil {
			b.backoff = b.newBackOff()
		}
		if wait = b.backoff.NextBackOff(); wait == backoff.Stop {
			return 0, false
		}
	}
	limit := b.policy.MaxRetryAfter
	if limit <= 0 {
		limit = 5 * time.Minute
	}
	var e *tus.Error
	if errors.As(failure, &e) {
		wait = max(wait, min(e.RetryAfter, limit))
	}
	return wait, true
}

func (b *budget) maxRetries() int {
	if b.policy.MaxRetries == 0 {
		return 8
	}
	return max(0, b.policy.MaxRetries)
}

func (b *budget) newBackOff() backoff.BackOff {
	if b.policy.NewBackOff != nil {
		return b.policy.NewBackOff()
	}
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(500*time.Millisecond),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0.3),
		backoff.WithMaxInterval(time.Minute),
		backoff.WithMaxElapsedTime(0), // never give up by the clock
	)
}
