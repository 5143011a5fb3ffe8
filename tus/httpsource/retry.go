package httpsource

import (
	"errors"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/retry"
)

// budget counts the failures of a reader since bytes last came.
type budget struct {
	policy   tus.RetryPolicy
	failures int
}

func (b *budget) reset() { b.failures = 0 }

// next counts a failure and returns the wait before the next attempt. ok is
// false if there must not be one.
func (b *budget) next(failure error) (wait time.Duration, ok bool) {
	b.failures++
	policy, temporary := retry.Policy(b.policy), tus.IsRetryable(failure)
	if policy.ShouldRetry != nil {
		temporary = policy.ShouldRetry(failure, b.failures)
	}
	if !temporary || b.failures > policy.Retries() {
		return 0, false
	}
	var asked time.Duration
	var e *tus.Error
	if errors.As(failure, &e) {
		asked = e.RetryAfter
	}
	return policy.Wait(b.failures, asked), true
}
