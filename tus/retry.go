package tus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/retry"
)

// Forever is a [RetryPolicy.MaxRetries] that retries temporary failures without a limit.
const Forever = math.MaxInt

// RetryPolicy controls how temporary failures are retried. The zero value is the default:
// an upload fails after eight retries in a row. The first retry is immediate, the next is
// after half a second, and then the waits double up to a minute, each with a random part:
// about a minute in total. If a connection breaks while bytes are sent, an immediate retry
// is delayed by up to 100 ms, so that the server can store the bytes that it received.
type RetryPolicy struct {
	// MaxRetries is how many failures in a row are retried. 0 means 8, a negative value
	// none, [Forever] all. The count restarts when the acknowledged offset advances by at
	// least 1/64 of the bytes that the request sent. After 64 requests in a row that gain
	// less, the upload fails with an error matching [ErrProtocol]. A failure for lack of a
	// file descriptor (EMFILE, ENFILE) does not count while other requests of the client
	// are in flight.
	MaxRetries int

	// Delay returns the wait before a retry; nil means the default. attempt counts the
	// retries in a row, from 1. After a failure for lack of a file descriptor it begins at
	// 2, as by default the first retry is immediate.
	Delay func(attempt int) time.Duration

	// MaxRetryAfter is the longest wait that a server can request with Retry-After. 0
	// means five minutes.
	MaxRetryAfter time.Duration

	// ShouldRetry reports whether to retry after err. nil means [IsRetryable]; a 507, and
	// a 500 in response to DELETE, is then retried only as the first failure in a row.
	// attempt counts failures in a row, from 1. It is not called after the context ended.
	ShouldRetry func(err error, attempt int) bool
}

func (p RetryPolicy) maxRetries() int { return retry.Policy(p).Retries() }

// boundedRetries returns maxRetries, or its default for Forever: it is for failures that
// most likely do not end.
func (p RetryPolicy) boundedRetries() int {
	if p.MaxRetries == Forever {
		return RetryPolicy{}.maxRetries()
	}
	return p.maxRetries()
}

func (p RetryPolicy) shouldRetry(err error, attempt int) bool {
	if p.ShouldRetry != nil {
		return p.ShouldRetry(err, attempt)
	}
	return IsRetryable(err) && (attempt <= 1 || !failsAgain(err))
}

// failsAgain reports whether a retry most likely fails, too: the server has no space left,
// or a DELETE fails because an earlier one has deleted the upload.
func failsAgain(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.StatusCode == http.StatusInsufficientStorage ||
		e.StatusCode == http.StatusInternalServerError && e.Method == http.MethodDelete)
}

// budget counts failures in a row. Progress restarts the count. It is measured against the
// highest offset: otherwise a server that keeps losing acknowledged bytes would restart the
// count forever.
type budget struct {
	policy   RetryPolicy
	failures int
	waits    int   // retries since the last progress, which make the waits longer
	mark     int64 // offset from which progress counts
	poor     int   // requests in a row that gained too little
	highest  int64 // highest offset that was acknowledged
	setbacks int   // how often the offset went back since highest was reached
}

const (
	// poorShare is the divisor of the bytes sent that gives the minimum gain of a request
	// that counts as progress.
	poorShare = 64
	// maxPoor is how many requests in a row with less gain end the upload.
	maxPoor = 64
)

// acknowledged records the offset of the server after it acknowledged gained bytes of those
// sent by the last request. It returns an error if the server lost acknowledged bytes too
// often, or acknowledges almost none of the bytes sent.
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
		if b.setbacks > max(1, b.policy.boundedRetries()) {
			return fmt.Errorf("%w: the server lost acknowledged bytes %d times", ErrProtocol, b.setbacks)
		}
	}
	return nil
}

func (b *budget) reset(mark int64) {
	b.mark, b.failures, b.waits = mark, 0, 0
}

// observed is acknowledged after a PATCH that was refused because of another request. If the
// offset moved although the bytes of this client were refused, another client sends. That
// restarts the count of failures, but does not shorten the waits, so that two clients do
// not keep interrupting each other.
func (b *budget) observed(offset, gained, sent int64) error {
	waits := b.waits
	err := b.acknowledged(offset, gained, sent)
	b.waits = waits
	return err
}

// next counts a failure and returns the wait before the next attempt. ok is false if the
// budget is used up.
func (b *budget) next(err error) (wait time.Duration, ok bool) {
	b.failures++
	if b.failures > b.policy.maxRetries() {
		return 0, false
	}
	return b.wait(err), true
}

// wait returns the wait before the next attempt. It is not 0 for lack of a file descriptor,
// as an immediate retry would take one from another request.
func (b *budget) wait(err error) time.Duration {
	if b.waits++; b.waits == 1 && outOfDescriptors(err) {
		b.waits++
	}
	var retryAfter time.Duration
	var e *Error
	if errors.As(err, &e) {
		retryAfter = e.RetryAfter
	}
	return retry.Policy(b.policy).Wait(b.waits, retryAfter)
}

func unauthorized(err error) bool {
	if err == nil {
		return false
	}
	var e *Error
	return errors.As(err, &e) && e.StatusCode == http.StatusUnauthorized
}

// retries decides whether and when a failed request is repeated. It counts the failures of
// one upload, or of one call of a Client that belongs to no upload.
type retries struct {
	budget
	// renewals is the bit set of the states in which a request was repeated after a 401, so
	// that a hook could renew the credentials. That is no retry. It happens once until a
	// request in the same state returns another status.
	renewals  uint
	canRenew  bool          // a hook may renew credentials
	renewing  bool          // the next repetition follows a 401
	inFlight  *atomic.Int32 // requests of the client
	minWait   time.Duration // minimum wait before the next repetition
	goneInRow int           // uploads in a row that were gone before a byte was acknowledged
}

func (q requester) newRetries() retries {
	return retries{budget: budget{policy: q.client.opts.Retry}, canRenew: q.hooks.canRenew(), inFlight: &q.client.inFlight}
}

// returned records the error, or nil, that a request in a state returned.
func (t *retries) returned(s State, err error) {
	if !unauthorized(err) {
		t.renewals &^= 1 << s
		t.renewing = false
	}
}

// allow reports whether a request that failed in a state may be repeated.
func (t *retries) allow(s State, err error) bool {
	t.renewing = unauthorized(err) && t.canRenew && t.renewals&(1<<s) == 0
	if t.renewing {
		t.renewals |= 1 << s
		return true
	}
	return t.policy.shouldRetry(err, t.failures+1)
}

// next counts a failure and returns the retry that follows. Its Attempt is 0 for a
// repetition that is no retry: it follows a 401, or the request for a stored upload that is
// held. ok is false if the budget is used up.
func (t *retries) next(err error) (retry Retry, ok bool) {
	if t.renewing {
		t.renewing = false
		return Retry{}, true
	}
	var held *HeldError
	if heldForNow(err) && errors.As(err, &held) {
		return Retry{Delay: min(held.Wait, heldPoll)}, true
	}
	retry.Err = err
	if outOfDescriptors(err) && t.inFlight.Load() > 0 && t.policy.maxRetries() > 0 {
		retry.Delay, ok = t.wait(err), true // does not count, as other requests will release theirs
	} else {
		retry.Delay, ok = t.budget.next(err)
	}
	retry.Attempt = max(1, t.failures)
	return retry, ok
}

// after returns the state that follows a failure in a state: the same one to repeat the
// request (a transfer then recovers instead of sending), StatePaused or StateFailed.
func (t *retries) after(ctx context.Context, s State, err error) State {
	switch {
	case ctx.Err() != nil:
		return StatePaused
	case !t.allow(s, err):
		return StateFailed
	}
	return s
}

// repeat calls step until it is done, and waits after each error. It returns the last error
// of step, or that of ctx if ctx ends during a wait. exhausted is set if no retry is left.
func (t *retries) repeat(ctx context.Context, q requester, step func() (done bool, err error)) (exhausted bool, err error) {
	for {
		done, err := step()
		if done {
			return false, err
		}
		if err == nil {
			continue
		}
		retry, ok := t.next(err)
		if !ok {
			return true, err
		}
		if retry.Attempt > 0 {
			retry.Delay, t.minWait = max(retry.Delay, t.minWait), 0
			q.counters.update(func(s *Stats) { s.Retries++ })
			q.hooks.retry(retry)
		}
		if err := async.Sleep(ctx, retry.Delay); err != nil {
			return false, err
		}
	}
}

// retrying repeats a request that belongs to no Uploader until it succeeds or the policy
// permits no retry.
func (q requester) retrying(ctx context.Context, request func(*budget) error) error {
	tries := q.newRetries()
	_, err := tries.repeat(ctx, q, func() (done bool, err error) {
		err = request(&tries.budget)
		tries.returned(StateIdle, err)
		if err != nil && ctx.Err() != nil {
			return true, withContext(ctx, err)
		}
		return err == nil || !tries.allow(StateIdle, err), err
	})
	return err
}
