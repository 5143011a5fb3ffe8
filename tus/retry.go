package tus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// RetryPolicy says how an upload goes on after temporary failures. The zero
// value is the default: eight retries in a row end the upload, the first
// retry comes at once, the next after half a second, and then the waits double
// up to a minute, each with a random part: about a minute in all, in which nothing
// gets through. Where a connection broke while bytes were sent, the server is given
// at most 100 ms to store what has reached it.
type RetryPolicy struct {
	// MaxRetries is how many failures in a row are retried. 0 means 8, a negative
	// value none. The count starts again whenever the acknowledged offset moves
	// on by at least 1/64 of what the request sent. 64 requests in a row that bring
	// less than that end the upload with an error matching [ErrProtocol]. A
	// failure for want of a file descriptor (EMFILE, ENFILE) does not count while
	// other requests of the client are in flight.
	MaxRetries int

	// NewBackOff makes the sequence of waits before the second retry in a row
	// and those after it; nil means the default. It is called anew whenever the
	// count has started again. A wait of [backoff.Stop] ends the upload.
	NewBackOff func() backoff.BackOff

	// MaxRetryAfter caps what a server can ask for with Retry-After. 0 means
	// five minutes.
	MaxRetryAfter time.Duration

	// ShouldRetry overrules what is temporary. nil means [IsTemporary]; a 507, and a 500
	// in response to DELETE, is then retried only as the first failure in a row. attempt
	// counts failures in a row, from 1. It is not asked when the context ended.
	ShouldRetry func(err error, attempt int) bool
}

const (
	defaultMaxRetries    = 8
	defaultMaxRetryAfter = 5 * time.Minute
)

func (p RetryPolicy) maxRetries() int {
	if p.MaxRetries == 0 {
		return defaultMaxRetries
	}
	return max(0, p.MaxRetries)
}

func (p RetryPolicy) newBackOff() backoff.BackOff {
	if p.NewBackOff != nil {
		return p.NewBackOff()
	}
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(500*time.Millisecond),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0.3),
		backoff.WithMaxInterval(time.Minute),
		backoff.WithMaxElapsedTime(0), // never give up by the clock
	)
}

func (p RetryPolicy) shouldRetry(err error, attempt int) bool {
	if p.ShouldRetry != nil {
		return p.ShouldRetry(err, attempt)
	}
	return IsTemporary(err) && (attempt <= 1 || !failsAgain(err))
}

// failsAgain reports whether a temporary failure most likely stays: the server has no
// room left, or a repeated DELETE fails at what the first one has deleted.
func failsAgain(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.StatusCode == http.StatusInsufficientStorage ||
		e.StatusCode == http.StatusInternalServerError && e.Method == http.MethodDelete)
}

// budget counts failures in a row. Progress is measured against the highest
// offset reached: a server that keeps losing what it confirmed would otherwise
// earn a new budget with every round, for ever.
type budget struct {
	policy   RetryPolicy
	failures int
	waits    int // retries since something got through, which make the waits longer
	backoff  backoff.BackOff
	mark     int64 // offset from which progress counts
	poor     int   // requests in a row that brought too little
	highest  int64 // offset ever acknowledged
	setbacks int   // how often the offset went back since highest was reached
}

const (
	// poorShare is the share of the bytes sent, as a divisor, below which what a
	// request brought is no progress: the budget is not renewed.
	poorShare = 64
	// maxPoor is how many such requests in a row end the upload.
	maxPoor = 64
)

// acknowledged notes the offset of the server after gained bytes of those sent by the
// last request arrived. It returns an error when the server lost acknowledged bytes
// too often, or acknowledges hardly anything of what is sent.
func (b *budget) acknowledged(offset, gained, sent int64) error {
	if gained > 0 && gained < sent/poorShare {
		b.highest, b.mark = max(b.highest, offset), max(b.mark, offset)
		if b.poor++; b.poor >= maxPoor {
			return fmt.Errorf("%w: %d requests in a row, each with less than 1/%d of its bytes acknowledged", ErrProtocol, b.poor, poorShare)
		}
		return nil
	}
	if gained > 0 {
		b.poor = 0
	}
	switch {
	case offset > b.highest:
		b.highest, b.setbacks = offset, 0
		b.reset(offset)
	case offset > b.mark:
		b.reset(offset)
	case offset < b.mark:
		b.setbacks++
		b.mark = offset
		if b.setbacks > max(1, b.policy.maxRetries()) {
			return fmt.Errorf("%w: the server lost confirmed bytes %d times", ErrProtocol, b.setbacks)
		}
	}
	return nil
}

func (b *budget) reset(mark int64) {
	b.mark, b.failures, b.waits, b.backoff = mark, 0, 0, nil
}

// observed is acknowledged for an offset that moved although our own bytes were
// refused: somebody else is at work. That renews the budget, but two clients
// must not chase each other without a wait.
func (b *budget) observed(offset, gained, sent int64) error {
	waits, sequence := b.waits, b.backoff
	err := b.acknowledged(offset, gained, sent)
	b.waits, b.backoff = waits, sequence
	return err
}

// next counts a failure and returns the wait before the next attempt. ok is
// false when the budget is used up.
func (b *budget) next(err error) (wait time.Duration, ok bool) {
	b.failures++
	if b.failures > b.policy.maxRetries() {
		return 0, false
	}
	return b.wait(err)
}

// wait returns the wait before the next attempt. The first comes at once, unless that
// would only take the file descriptor from another.
func (b *budget) wait(err error) (wait time.Duration, ok bool) {
	if b.waits++; b.waits > 1 || outOfDescriptors(err) {
		if b.backoff == nil {
			b.backoff = b.policy.newBackOff()
		}
		if wait = b.backoff.NextBackOff(); wait == backoff.Stop {
			return 0, false
		}
	}
	limit := b.policy.MaxRetryAfter
	if limit <= 0 {
		limit = defaultMaxRetryAfter
	}
	var e *Error
	if errors.As(err, &e) {
		wait = max(wait, min(e.RetryAfter, limit))
	}
	return wait, true
}

// renewals are the states in which a request was repeated because of a 401, so
// that a hook could renew what the request is authorized by. That is no retry, and
// happens once for each 401 that does not follow another in the same state.
type renewals uint

// spend is false if the last answer in that state was a 401 as well.
func (r *renewals) spend(s State) bool {
	before := *r
	*r |= 1 << s
	return *r != before
}

func (r *renewals) giveBack(s State) { *r &^= 1 << s }

func unauthorized(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.StatusCode == http.StatusUnauthorized
}

// retrying repeats a request that belongs to no Uploader until it succeeds or
// the policy ends it.
func (c *Client) retrying(ctx context.Context, hooks hookSet, request func() error) error {
	tries := budget{policy: c.retry}
	refused := false // the last answer was a 401
	for {
		err := request()
		again := unauthorized(err) && !refused && hooks.canRenew() && ctx.Err() == nil
		if refused = unauthorized(err); again {
			continue
		}
		if ctx.Err() != nil {
			return withContext(ctx, err)
		}
		if err == nil || !c.retry.shouldRetry(err, tries.failures+1) {
			return err
		}
		wait, ok := c.spend(&tries, err)
		if !ok {
			return err
		}
		hooks.retry(RetryEvent{Attempt: max(1, tries.failures), Delay: wait, Err: err})
		if err := async.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}
