package tus

import (
	"context"
	"errors"
)

// create is the step of StateCreating.
func (t *transfer) create(ctx context.Context) outcome {
	if err := t.chunks.canSendFrom(0, 0); err != nil {
		return outcome{next: StateFailed, err: err}
	}
	info := t.account().info
	t.next = chunk{}
	t.length.declared = false
	t.sentTo, t.absence = 0, absence{}
	c := creation{
		length: info.Size, deferred: info.SizeUnknown || t.plan.defers,
		metadata: t.plan.metadata, partial: t.plan.partial,
	}
	if t.carries.some {
		first, _, err := t.chunks.next(ctx, cut{most: t.carries.most, stopAt: t.carries.most, deferred: c.deferred})
		switch {
		case err != nil && ctx.Err() != nil:
			return outcome{next: StatePaused, err: err}
		case err != nil:
			return outcome{next: StateFailed, err: err}
		}
		t.next, c.payload = first, first.payload
	}
	made, err := t.requester.createUpload(ctx, c)
	if err != nil {
		return t.notCreated(ctx, err)
	}
	return t.created(c, made)
}

func (t *transfer) inOneRequest() bool { return t.carries.whole }

// notCreated returns the outcome of a creation that failed.
//
// If it carried bytes, they cannot be resumed without a URL, so the next attempt carries
// none. That also distinguishes a proxy that refuses the body from a server that refuses the
// size. A 401, or a request that was not sent, is not about the bytes.
func (t *transfer) notCreated(ctx context.Context, err error) outcome {
	if !t.carries.some {
		return t.failed(ctx, err)
	}
	if !unauthorized(err) && !unsent(err) && !t.account().info.empty() {
		t.carries = carried{}
		if errors.Is(err, ErrTooLarge) {
			return outcome{next: StateCreating}
		}
	}
	return t.failed(ctx, err)
}

// created returns the outcome of a creation that succeeded.
func (t *transfer) created(c creation, made created) outcome {
	o := outcome{next: StateReady, created: &made}
	if made.needsHead {
		o.next, made.offset = StateRecovering, 0
	}
	t.length.deferred = c.deferred
	t.updateAccount(func(a *account) { a.url, a.expires = made.url, made.expires })
	if err := t.advance(made.offset); err != nil {
		o.next, o.err = StateFailed, err
	}
	o.completed = t.complete()
	return o
}
