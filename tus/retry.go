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

// patience is how often something is retried that most likely stays as it is. Forever is
// for failures that end.
func (p RetryPolicy) patience() int {
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
// or a second DELETE fails because the first one has deleted the upload.
func failsAgain(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.StatusCode == http.StatusInsufficientStorage ||
		e.StatusCode == http.StatusInternalServerError && e.Method == http.MethodDelete)
}

// budget counts failures in a row. Progress is measured against the highest offset reached:
// a server that keeps losing acknowledged bytes would otherwise renew the budget forever.
type budget struct {
	policy   RetryPolicy
	failures int
	waits    int   // retries since the last progress, which make the waits longer
	mark     int64 // offset from which progress counts
	poor     int   // requests in a row that gained too little
	highest  int64 // offset ever acknowledged
	setbacks int   // how often the offset went back since highest was reached
}

const (
	// poorShare is the share of the bytes sent, as a divisor, below which the gain of a
	// request is no progress: the budget is not renewed.
	poorShare = 64
	// maxPoor is how many such requests in a row end the upload.
	maxPoor = 64
)

// acknowledged notes the offset of the server after it acknowledged gained bytes of those
// sent by the last request. It returns an error if the server lost acknowledged bytes too
// often, or acknowledges almost nothing of what is sent.
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
		if b.setbacks > max(1, b.policy.patience()) {
			return fmt.Errorf("%w: the server lost acknowledged bytes %d times", ErrProtocol, b.setbacks)
		}
	}
	return nil
}

func (b *budget) reset(mark int64) {
	b.mark, b.failures, b.waits = mark, 0, 0
}

// observed is acknowledged after a PATCH that was refused for another request. If the offset
// moved although the bytes of this client were refused, another client sends: that renews
// the budget, but the waits stay, so that two clients do not chase each other.
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

// wait returns the wait before the next attempt. An immediate one would only take a file
// descriptor from another request.
func (b *budget) wait(err error) time.Duration {
	if b.waits++; b.waits == 1 && outOfDescriptors(err) {
		b.waits++
	}
	var asked time.Duration
	var e *Error
	if errors.As(err, &e) {
		asked = e.RetryAfter
	}
	return retry.Policy(b.policy).Wait(b.waits, asked)
}

// renewals are the states in which a request was repeated because of a 401, so that a hook
// could renew its credentials. That is no retry, and happens once for each 401 that does
// not follow another in the same state.
type renewals uint

// spend is false if the last response in that state was a 401 as well.
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

// retries decides whether a failed request is repeated, and when. It counts the failures of
// one upload, or of one call of a Client that belongs to none.
type retries struct {
	budget
	renewals renewals
	canRenew bool          // a hook may renew credentials
	renewing bool          // the next repetition follows a 401
	inFlight *atomic.Int32 // requests of the client
	settling time.Duration // the least wait before the next repetition
	vain     int           // uploads in a row that were created and then gone before a byte was acknowledged
}

func (q requester) newRetries() retries {
	return retries{budget: budget{policy: q.client.opts.Retry}, canRenew: q.hooks.canRenew(), inFlight: &q.client.inFlight}
}

// returned notes what a request in a state returned, nil or an error.
func (t *retries) returned(s State, err error) {
	if !unauthorized(err) {
		t.renewals.giveBack(s)
		t.renewing = false
	}
}

// allow reports whether a request that failed in a state may be repeated.
func (t *retries) allow(s State, err error) bool {
	t.renewing = unauthorized(err) && t.canRenew && t.renewals.spend(s)
	return t.renewing || t.policy.shouldRetry(err, t.failures+1)
}

// next counts a failure and returns the retry that follows. Its Attempt is 0 if it is none:
// it follows a 401, or a look at a stored upload that is held. ok is false if the budget is
// used up.
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
		retry.Delay, ok = t.wait(err), true // other requests will release theirs: it does not count
	} else {
		retry.Delay, ok = t.budget.next(err)
	}
	retry.Attempt = max(1, t.failures)
	return retry, ok
}

// after returns the state that follows a failure in a state: the same one for a
// repetition (a transfer then recovers instead of sending), StatePaused or StateFailed.
func (t *retries) after(ctx context.Context, s State, err error) State {
	switch {
	case ctx.Err() != nil:
		return StatePaused
	case !t.allow(s, err):
		return StateFailed
	}
	return s
}

// repeat calls step until it is done. It waits after each error, and returns the one that
// ends it: of step, or of ctx during a wait. exhausted says that no retry is left.
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
			retry.Delay, t.settling = max(retry.Delay, t.settling), 0
			q.counters.update(func(s *Stats) { s.Retries++ })
			q.hooks.retry(retry)
		}
		if err := async.Sleep(ctx, retry.Delay); err != nil {
			return false, err
		}
	}
}

// retrying repeats a request that belongs to no Uploader until it succeeds or the policy
// ends it.
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
