package tus

import (
	"context"
	"fmt"
)

// ending is what is known of the last byte of an upload, and of the requests that missed
// the upload: together they tell an upload that was lost from one that was completed and
// moved away.
type ending struct {
	refusal error // of the chunk that would have completed the upload
	sentTo  int64 // all before it was sent, and the server did not show that it lacks some; 0 for none
	absence absence
}

// created forgets what was known of an upload that is gone or not resumed.
func (e *ending) created() { e.sentTo, e.absence = 0, absence{} }

// judgeGone decides what a 404 or 410 means for the upload. One without Tus-Resumable
// stays an error worth a retry until the retries are used up; once every byte was sent, a
// server that no longer has the upload leaves it unconfirmed.
func (t *transfer) judgeGone(ctx context.Context, err error) error {
	a, e := t.account(), &t.end
	err = e.absence.note(ctx, t.requester, a.url, err, &t.retries.budget)
	if !uploadGone(err) || refusedForGood(e.refusal) {
		return err
	}
	allSent := e.sentTo > 0 && t.chunks.endsAt(ctx, e.sentTo)
	switch {
	case allSent && e.refusal != nil:
		return withCause(e.refusal, fmt.Errorf("%w, after this refusal", errGoneAtEnd))
	case allSent:
		return withCause(err, errGoneAtEnd)
	case t.retries.vain > 0 && a.offset == 0 && t.plan.recreates && !t.restored:
		return withCause(err, errGoneAtOnce)
	}
	return err
}

// refusedForGood reports whether a refusal, nil if there was none, would be repeated.
func refusedForGood(refusal error) bool { return refusal != nil && !IsRetryable(refusal) }

// refused decides what follows when the server has shown what became of the chunk that it
// refused.
func (t *transfer) refused(refusal error, info Info) outcome {
	switch {
	case t.next.declares && !info.LengthDeferred && (!info.Complete() || t.next.size == 0 && t.length.refused(t.next, refusal)):
		// An earlier request that was cut declared the length, possibly after we had
		// asked: to declare it twice is refused, and it is not declared again. But a
		// request that brought bytes, and completed the upload, was refused itself.
		return outcome{next: StateReady}
	case info.Complete():
		return outcome{next: StateFailed, err: fmt.Errorf("%w: %w", ErrUnconfirmed, refusal)}
	case IsRetryable(refusal): // the server lacks bytes, which are sent again
		return outcome{next: StateReady}
	case t.length.refused(t.next, refusal): // so it was something else
		if again, _ := t.checksumRefused(refusal); again {
			return outcome{next: StateReady}
		}
	}
	return outcome{next: StateFailed, err: refusal}
}
