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
	start := time.Now()
	response, err := t.patch(ctx, t.account().url, t.next)
	sentUpTo := t.counters.sentUpTo()
	if end := t.next.end(); mayHaveArrived(err) && sentUpTo >= end {
		t.end.sentTo = end
	}
	err = t.judgeGone(ctx, err)
	if changed := t.sums.sent(&t.next); changed != nil {
		return outcome{next: StateFailed, err: changed}
	}
	t.contended = verdictOf(err).contended
	if err == nil {
		return t.sent(response)
	}
	t.sizer.failed()
	if ctx.Err() == nil {
		if o, decided := t.notSent(err); decided {
			return o
		}
	}
	sent := sentUpTo - t.next.offset
	if unanswered(err) {
		t.sizer.wasCut(t.next.size, sent)
	}
	t.length.declared = t.length.declared || t.next.declares && (ctx.Err() != nil || outcomeUnknown(err))
	if broken(err) {
		t.retries.settling = settlingTime(sent, time.Since(start))
	}
	o := t.failed(ctx, err)
	o.refusal = t.end.refusal
	return o
}

// sent notes the response to a chunk that the server stored.
func (t *transfer) sent(p patched) outcome {
	if t.next.declares {
		t.length.deferred = false
		t.lengthIs(t.next.declare)
	}
	o := outcome{next: StateReady, patched: p.response}
	if !p.expires.IsZero() {
		t.learn(func(a *account) { a.expires = p.expires })
	}
	if err := t.acknowledge(p.offset); err != nil {
		o.next, o.err = StateFailed, err
		return o
	}
	t.sizer.succeeded()
	return o
}

// notSent decides what follows a chunk that the server refused, if the refusal says so.
func (t *transfer) notSent(err error) (o outcome, decided bool) {
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
		t.end.refusal = err
		if !IsRetryable(err) {
			return outcome{next: StateRecovering, refusal: err}, true
		}
	}
	return outcome{}, false
}

// checksumRefused judges a chunk that the server refused for its checksum. It returns
// true if the chunk is to be sent again without a wait.
func (t *transfer) checksumRefused(err error) (again bool, fatal error) {
	caps, _ := t.client.probe.state()
	again, fatal = t.sums.refusal(err, t.next, caps)
	if errors.Is(err, ErrChecksumMismatch) {
		t.chunks.reread()
	}
	if again {
		t.learn(func(a *account) { a.checksum = t.sums.algorithm.Name })
	}
	return again, fatal
}

// settlingTime is how long a server may want to store what reached it before a
// connection broke. A server that is asked for the offset sooner may give up
// what it has not read yet (tusd does), and then all that has to be sent again. It
// is as fast as the connection was, and has no more in its buffers than Linux
// lets it have.
func settlingTime(sent int64, took time.Duration) time.Duration {
	const buffered, longest = 8 << 20, 100 * time.Millisecond
	if sent > buffered {
		took = time.Duration(float64(took) * buffered / float64(sent))
	}
	return min(took, longest)
}

// broken reports whether a connection ended without a response.
func broken(err error) bool { return unanswered(err) && !errors.Is(err, ErrStalled) }

// unanswered is broken, or that we ended a connection on which nothing moved.
func unanswered(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.StatusCode == 0 && e.retryable()
}
