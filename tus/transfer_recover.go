package tus

import (
	"context"
	"fmt"
)

// recover is the step of StateRecovering.
func (t *transfer) recover(ctx context.Context) outcome {
	a := t.account()
	info, err := t.head(ctx, a.url)
	refusal := t.refusal
	if t.account().info.empty() && t.plan.recreates && refusal == nil && needsPatch(info, err) {
		t.next = chunk{last: true, payload: t.chunks.payload(0, 0)}
		return outcome{next: StateSending}
	}
	err = t.judgeGone(ctx, err)
	if uploadGone(err) && refusal != nil && !IsRetryable(refusal) { // the server deleted it
		o := t.startOver(refusal)
		o.next = StateFailed
		return o
	}
	if err != nil {
		return t.failed(ctx, err)
	}
	if t.isStale(info.Offset) {
		return outcome{next: StateRecovering, err: t.headError(a.url, info, fmt.Errorf("%w: %d, acknowledged %d", errStale, info.Offset, a.offset))}
	}
	o := outcome{next: StateReady}
	if t.resuming {
		o.resumed = &Resumed{URL: a.url.String(), Offset: info.Offset, Expires: info.Expires, Concat: info.Concat}
	}
	if err := t.apply(&info); err != nil {
		return outcome{next: StateFailed, err: err}
	}
	t.warnLimit(ctx, a.info.Name, t.sizer.recovered(info.Offset > t.next.offset))
	if refusal != nil {
		t.refusal = nil
		o = t.afterRefusal(refusal, info)
	}
	if !info.Complete() {
		t.sentTo, o.lacks = 0, true
	}
	return o
}

// apply updates the transfer from the response to HEAD.
func (t *transfer) apply(info *Info) error {
	a := t.account()
	if info.Concat == concatFinal && !info.Complete() {
		return fmt.Errorf("%w: %s is a final upload that is not complete: bytes go to its parts (protocol section Concatenation)",
			ErrInvalidInput, t.redactor.URL(a.url))
	}
	if !t.length.deferred && !t.resuming { // the server received the length
		*info = info.withLength(a.info.Size)
	}
	if err := a.info.matches(*info); err != nil {
		return err
	}
	if t.length.deferred = info.LengthDeferred; !info.LengthDeferred {
		t.setLength(info.Length)
	}
	if !info.Expires.IsZero() {
		t.updateAccount(func(a *account) { a.expires = info.Expires })
	}
	if t.resuming {
		t.resuming = false
		t.counters.resumeAt(info.Offset)
		return t.advance(info.Offset) // reported after OnResumed
	}
	return t.acknowledge(info.Offset)
}

// needsPatch reports whether the response to HEAD does not show that a new empty upload is
// complete. Some servers create nothing before a PATCH, and respond with an error.
func needsPatch(info Info, err error) bool {
	if err == nil {
		return info.lengthUnstated && info.Offset == 0
	}
	return verdictOf(err).emptyOpen
}

// isStale reports whether to request the offset again: it is below an acknowledged one, and
// the source cannot go back that far. A replica that lags behind soon has the right one.
func (t *transfer) isStale(offset int64) bool {
	const maxStale = 3
	retries := t.client.opts.Retry.maxRetries() - t.retries.failures
	if t.chunks.canSendFrom(offset, t.account().offset) == nil || t.stale >= min(maxStale, retries) {
		t.stale = 0
		return false
	}
	t.stale++
	return true
}

// afterRefusal returns the outcome of a HEAD that follows the refusal of the last chunk.
func (t *transfer) afterRefusal(refusal error, info Info) outcome {
	switch {
	case t.next.declares && !info.LengthDeferred && (!info.Complete() || t.next.size == 0 && t.length.refused(t.next, refusal)):
		// An earlier request that was cut declared the length, possibly after the last
		// HEAD. Servers refuse a second declaration, and the next chunk has none. But if
		// the request had bytes and the upload is complete, the refusal was its own.
		return outcome{next: StateReady}
	case info.Complete():
		return outcome{next: StateFailed, err: fmt.Errorf("%w: %w", ErrUnconfirmed, refusal)}
	case IsRetryable(refusal): // the server lacks bytes, which are resent
		return outcome{next: StateReady}
	case t.length.refused(t.next, refusal): // but the length was not declared before
		if again, _ := t.checksumRefused(refusal); again {
			return outcome{next: StateReady}
		}
	}
	return outcome{next: StateFailed, err: refusal}
}
