package tus

import (
	"context"
	"errors"
)

// create is the step of StateCreating.
func (t *transfer) create(ctx context.Context) outcome {
	if err := t.chunks.canRestart(); err != nil { // what a new upload begins with is gone
		return outcome{next: StateFailed, err: err}
	}
	info := t.account().info
	t.next = chunk{}
	t.length.declared = false
	t.end.created()
	c := creation{
		length: info.Size, deferred: info.SizeUnknown || t.plan.defers,
		metadata: t.plan.metadata, partial: t.plan.partial,
	}
	if t.inline {
		t.next = chunk{size: info.Size, payload: t.chunks.payload(0, info.Size), last: true}
		c.payload = t.next.payload
	}
	made, err := t.requester.createUpload(ctx, c)
	if err != nil {
		return t.notCreated(ctx, err)
	}
	return t.created(c, made)
}

func (t *transfer) inOneRequest() bool { return t.inline }

// notCreated decides what follows a creation that failed.
//
// Without a URL nothing that arrived can be resumed, so the next attempt creates first. It
// also tells a proxy that refuses the body from a server that refuses the size. A 401, or
// a request that never left, has nothing to do with the bytes.
func (t *transfer) notCreated(ctx context.Context, err error) outcome {
	if !t.inline {
		return t.failed(ctx, err)
	}
	t.inline = unauthorized(err) || unsent(err) || t.account().info.empty()
	if errors.Is(err, ErrTooLarge) && !t.inline {
		return outcome{next: StateCreating}
	}
	return t.failed(ctx, err)
}

// created notes what the server returned for a new upload.
func (t *transfer) created(c creation, made created) outcome {
	o := outcome{next: StateReady, created: &made}
	if made.asks {
		o.next, made.offset = StateRecovering, 0
	}
	t.length.deferred = c.deferred
	t.learn(func(a *account) { a.url, a.expires = made.url, made.expires })
	if err := t.advance(made.offset); err != nil {
		o.next, o.err = StateFailed, err
	}
	o.completed = t.complete()
	return o
}

// uncreate leaves an upload whose URL is that of another.
func (t *transfer) uncreate() {
	t.learn(func(a *account) { a.url, a.offset = nil, 0 })
	t.enter(StateCreating)
}
