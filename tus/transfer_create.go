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
	t.length.told = false
	t.end.created()
	wish := creation{
		length: info.Size, deferred: info.SizeUnknown || t.plan.defers,
		metadata: t.plan.metadata, partial: t.plan.partial,
	}
	if t.inline {
		if err := t.carry(ctx, &wish); err != nil {
			return t.failed(ctx, err)
		}
	}
	made, err := t.requester.create(ctx, wish)
	if changed := t.sums.sent(&t.next); changed != nil {
		return outcome{next: StateFailed, err: changed}
	}
	if err != nil {
		return t.notCreated(ctx, err)
	}
	return t.created(wish, made)
}

// carry gives the creation the first bytes of the source.
func (t *transfer) carry(ctx context.Context, wish *creation) error {
	n := t.carried()
	t.next = chunk{size: n, payload: t.chunks.payload(0, n), last: n == wish.length}
	if err := t.sums.seal(ctx, &t.next, t.chunks); err != nil {
		return err
	}
	wish.payload, wish.size = t.next.payload, t.next.size
	wish.checksum, wish.trailer = t.next.checksum, t.next.trailer
	return nil
}

// carried is how many bytes of the source go with a creation that carries some.
func (t *transfer) carried() int64 {
	size := t.account().info.Size
	limit := t.plan.limit
	if limit == 0 {
		limit = t.client.rate.creationLimit()
	}
	n := min(limit, size)
	if t.sizer.size > 0 {
		n = min(n, t.sizer.size)
	}
	if t.stopAt > 0 {
		n = min(n, t.stopAt)
	}
	return n
}

func (t *transfer) inOneRequest() bool { return t.inline && t.carried() == t.account().info.Size }

// mayCarry reports whether bytes may go with the creation: all of the source, or, if the
// caller insists, its first ones.
func (t *transfer) mayCarry() bool {
	info := t.account().info
	if info.SizeUnknown || t.plan.defers {
		return false
	}
	switch t.plan.carry {
	case CreationWithUploadAlways:
		return true
	case CreationWithUploadNever:
		return false
	}
	return t.carried() == info.Size
}

// notCreated decides what follows a creation that failed.
//
// Without a URL nothing that arrived can be resumed, so the next attempt creates first. It
// also tells a proxy that refuses the body from a server that refuses the size. A 401, or
// a request that never left, has nothing to do with the bytes.
func (t *transfer) notCreated(ctx context.Context, err error) outcome {
	if !t.inline {
		return t.failed(ctx, err)
	}
	if again, fatal := t.checksumRefused(err); again {
		return outcome{next: StateCreating}
	} else if fatal != nil {
		return outcome{next: StateFailed, err: fatal}
	}
	t.inline = t.plan.carry == CreationWithUploadAlways || unauthorized(err) || unsent(err) || t.isEmpty()
	if errors.Is(err, ErrTooLarge) && (!t.inline || t.halveChunk()) {
		return outcome{next: StateCreating}
	}
	return t.failed(ctx, err)
}

// created takes over what the server returned for a new upload.
func (t *transfer) created(wish creation, made created) outcome {
	o := outcome{next: StateReady, created: &made}
	if made.asks {
		o.next, made.offset = StateRecovering, 0
	}
	t.length.deferred = wish.deferred
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
