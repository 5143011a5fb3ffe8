package httpsource

import (
	"errors"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/delay"
)

// budget counts the failures of a reader since bytes last came, by the defaults
// that tus.RetryPolicy documents.
type budget struct {
	policy   tus.RetryPolicy
	failures int
}

func (b *budget) reset() { b.failures = 0 }

// next counts a failure and returns the wait before the next attempt. ok is
// false if there must not be one.
func (b *budget) next(failure error) (wait time.Duration, ok bool) {
	b.failures++
	retry := tus.IsRetryable(failure)
	if b.policy.ShouldRetry != nil {
		retry = b.policy.ShouldRetry(failure, b.failures)
	}
	if !retry || b.failures > b.maxRetries() {
		return 0, false
	}
	wait = delay.Default(b.failures)
	if b.policy.Delay != nil {
		wait = max(0, b.policy.Delay(b.failures))
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
