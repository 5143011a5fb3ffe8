package tus

import (
	"context"
	"errors"
	"time"
)

// send is the step of StateSending.
func (t *transfer) send(ctx context.Context) outcome {
	if err := t.sums.seal(ctx, &t.next, t.chunks); err != nil {
		return t.failed(ctx, err)
	}
	if t.sizer.adapts() && t.next.size >= minChunk {
		t.updateAccount(func(a *account) { a.request = t.next.size })
		t.sending()
	}
	start := time.Now()
	response, err := t.patch(ctx, t.account().url, t.next)
	took := time.Since(start)
	sentUpTo := t.counters.sentUpTo()
	mayBeStored := err != nil && !unsent(err) && !verdictOf(err).unstored
	if end := t.next.end(); mayBeStored && sentUpTo >= end {
		t.sentTo = end
	}
	err = t.judgeGone(ctx, err)
	if changed := t.sums.sent(&t.next); changed != nil {
		return outcome{next: StateFailed, err: changed}
	}
	t.offsetMayMove = verdictOf(err).contended
	if err == nil {
		return t.sent(response, took)
	}
	return t.notSent(ctx, err, sentUpTo-t.next.offset, took)
}

// notSent returns the outcome of a chunk that failed after sent bytes.
func (t *transfer) notSent(ctx context.Context, err error, sent int64, took time.Duration) outcome {
	interrupted := ctx.Err() != nil || unanswered(err) || verdictOf(err).cutOff
	t.sizer.failed(t.next.size, sent, interrupted)
	if ctx.Err() == nil {
		if o, decided := t.refused(err); decided {
			return o
		}
	}
	if unanswered(err) && !errors.Is(err, ErrStalled) {
		t.retries.minWait = storingTime(sent, took)
	}
	t.length.declared = t.length.declared || t.next.declares && (ctx.Err() != nil || outcomeUnknown(err))
	o := t.failed(ctx, err)
	o.refusal = t.refusal
	return o
}

// sent returns the outcome of a chunk that the server acknowledged.
func (t *transfer) sent(p patched, took time.Duration) outcome {
	if t.next.declares {
		t.length.deferred = false
		t.setLength(t.next.declare)
	}
	o := outcome{next: StateReady, patched: p.response}
	if !p.expires.IsZero() {
		t.updateAccount(func(a *account) { a.expires = p.expires })
	}
	if err := t.acknowledge(p.offset); err != nil {
		o.next, o.err = StateFailed, err
		return o
	}
	t.sizer.succeeded(t.next.size, took)
	return o
}

// refused returns the outcome of a refused chunk, if the kind of the refusal decides it.
func (t *transfer) refused(err error) (o outcome, decided bool) {
	if t.absence.doubted && uploadGone(err) {
		return outcome{next: StateRecovering}, true
	}
	if !t.length.refused(t.next, err) {
		if again, fatal := t.checksumRefused(err); again {
			return outcome{next: StateRecovering}, true
		} else if fatal != nil {
			return outcome{next: StateFailed, err: fatal}, true
		}
	}
	if errors.Is(err, ErrTooLarge) && t.sizer.halve(t.next.size, t.plan.minChunk) {
		return outcome{next: StateRecovering}, true
	}
	if t.next.last && verdictOf(err).refusesEnd {
		t.refusal = err
		if !IsRetryable(err) {
			return outcome{next: StateRecovering, refusal: err}, true
		}
	}
	return outcome{}, false
}

// checksumRefused handles a refusal that may be about the checksum. again reports whether
// to resend the chunk without a wait.
func (t *transfer) checksumRefused(err error) (again bool, fatal error) {
	caps, _ := t.client.probe.state()
	again, fatal = t.sums.refusal(err, t.next, caps)
	if errors.Is(err, ErrChecksumMismatch) {
		t.chunks.reread()
	}
	if again {
		t.updateAccount(func(a *account) { a.checksum = t.sums.algorithm.Name })
	}
	return again, fatal
}

// storingTime returns how long a server may take to store the bytes that it received before
// a connection broke: it is assumed to be as fast as the connection was, and to have no more
// in its buffers than Linux allows. At an earlier HEAD a server may discard what it has not
// read yet (tusd does), and all that must be resent.
func storingTime(sent int64, took time.Duration) time.Duration {
	const buffered, longest = 8 << 20, 100 * time.Millisecond
	if sent > buffered {
		took = time.Duration(float64(took) * buffered / float64(sent))
	}
	return min(took, longest)
}

// unanswered reports whether a connection ended without a response, or stalled.
func unanswered(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.StatusCode == 0 && e.retryable()
}
