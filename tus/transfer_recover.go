package tus

import (
	"context"
	"fmt"
)

// recover is the step of StateRecovering.
func (t *transfer) recover(ctx context.Context) outcome {
	a := t.account()
	info, err := t.head(ctx, a.url)
	refusal := t.end.refusal
	if t.account().info.empty() && t.plan.recreates && refusal == nil && needsPatch(info, err) {
		t.next = chunk{last: true, payload: t.chunks.payload(0, 0)}
		return outcome{next: StateSending}
	}
	err = t.judgeGone(ctx, err)
	if uploadGone(err) && refusedForGood(refusal) { // the server deleted it
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
	if err := t.update(&info); err != nil {
		return outcome{next: StateFailed, err: err}
	}
	t.sizer.recovered(info.Offset > t.next.offset)
	o := outcome{next: StateReady}
	if refusal != nil {
		t.end.refusal = nil
		o = t.refused(refusal, info)
	}
	if !info.Complete() { // whatever became of the last request, it did not complete the upload
		t.end.sentTo, o.lacks = 0, true
	}
	return o
}

// update notes what the server returned for the upload.
func (t *transfer) update(info *Info) error {
	a := t.account()
	if info.Concat == concatFinal && !info.Complete() {
		return fmt.Errorf("%w: %s is a final upload that is not complete: bytes go to its parts (protocol section Concatenation)",
			ErrInvalidInput, t.client.redactor.URL(a.url))
	}
	if !t.length.deferred && !t.resuming { // created with its length, or it was declared since
		*info = info.withLength(a.info.Size)
	}
	if err := a.info.matches(*info); err != nil {
		return err
	}
	if t.length.deferred = info.LengthDeferred; !info.LengthDeferred {
		t.lengthIs(info.Length)
	}
	if !info.Expires.IsZero() {
		t.learn(func(a *account) { a.expires = info.Expires })
	}
	if t.resuming {
		t.resuming = false
		t.counters.resumeAt(info.Offset)
	}
	return t.acknowledge(info.Offset)
}

// needsPatch reports whether the response to HEAD leaves open that a new empty upload is
// complete: some servers make nothing of one, and respond with an error, before a PATCH.
func needsPatch(info Info, err error) bool {
	if err == nil {
		return info.lengthUnstated && info.Offset == 0
	}
	return verdictOf(err).emptyOpen
}

// maxStale is how often the server is asked again for an offset below an acknowledged one.
const maxStale = 3

// isStale reports whether to ask again because the offset lies below one that the server
// acknowledged and the source cannot go back that far. A replica that lags behind has the
// right one a moment later.
func (t *transfer) isStale(offset int64) bool {
	retries := t.client.opts.Retry.maxRetries() - t.retries.failures
	if t.chunks.canSendFrom(offset, t.account().offset) || t.stale >= min(maxStale, retries) {
		t.stale = 0
		return false
	}
	t.stale++
	return true
}
