package tus

import (
	"context"
	"time"
)

// tries counts the failures in a row of one state machine, and decides what follows each.
type tries struct {
	budget   budget
	renewed  renewals      // where a 401 was answered with a repetition
	renewing bool          // a repetition is due that costs no retry
	settling time.Duration // the least wait before the next request
}

// begin is called before each step, as nobody may have waited after the last one.
func (t *tries) begin() { t.renewing, t.settling = false, 0 }

// end is called after each step with its error.
func (t *tries) end(s State, err error) {
	if !unauthorized(err) {
		t.renewed.giveBack(s)
	}
}

// judge returns the state that follows a failure in state s: the same one for a retry,
// StatePaused or StateFailed.
func (t *tries) judge(ctx context.Context, q requester, s State, err error) State {
	switch {
	case ctx.Err() != nil:
		return StatePaused
	case unauthorized(err) && q.hooks.canRenew() && t.renewed.spend(s):
		t.renewing = true
	case !q.client.retry.shouldRetry(err, t.budget.failures+1):
		return StateFailed
	}
	return s
}

// wait spends a failure of the budget, and waits for the next attempt. It is false if
// the budget is used up. The error is that of ctx.
func (t *tries) wait(ctx context.Context, q requester, name string, failure error) (ok bool, err error) {
	if t.renewing {
		t.renewing = false
		return true, nil
	}
	wait, ok := q.client.spend(&t.budget, failure)
	if !ok {
		return false, nil
	}
	wait, t.settling = max(wait, t.settling), 0
	q.counters.update(func(s *Stats) { s.Retries++ })
	q.hooks.retry(RetryEvent{Name: name, Attempt: max(1, t.budget.failures), Delay: wait, Err: failure})
	return true, sleep(ctx, wait)
}
