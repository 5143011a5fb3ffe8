package tus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// prepare is the step of StateIdle. It looks at the source, and asks the server
// for its capabilities only where the answer changes what is sent.
func (u *Uploader) prepare(ctx context.Context) (State, error) {
	info, err := u.source.Stat(ctx)
	if err != nil {
		return u.after(ctx, StateIdle, err), err
	}
	if info.SizeUnknown {
		return StateFailed, fmt.Errorf("%w: source of unknown length", ErrInvalidInput)
	}
	u.info = info
	if u.given {
		return StateRecovering, nil
	}
	u.inline = u.fitsCreation()
	if u.inline && u.opts.CreationWithUpload == CreationWithUploadAuto {
		caps, err := u.client.advertised(ctx, u.hooks, u.meter)
		if err != nil {
			return u.after(ctx, StateIdle, err), err
		}
		u.inline = caps.Supports(ExtensionCreationWithUpload)
	}
	known, _, _ := u.client.probe.state()
	if known.MaxSize > 0 && info.Size > known.MaxSize {
		return StateFailed, fmt.Errorf("%w: source has %d bytes, Tus-Max-Size is %d", ErrTooLarge, info.Size, known.MaxSize)
	}
	return StateCreating, nil
}

// fitsCreation reports whether the whole source may go with the creation.
func (u *Uploader) fitsCreation() bool {
	limit := u.chunkSize
	if limit == 0 {
		limit = maxCreationUpload
	}
	if u.stopAt > 0 {
		limit = min(limit, u.stopAt)
	}
	return u.opts.CreationWithUpload != CreationWithUploadNever && u.info.Size > 0 && u.info.Size <= limit
}

// create is the step of StateCreating.
func (u *Uploader) create(ctx context.Context) (State, error) {
	wish := creation{length: u.info.Size, metadata: u.opts.Metadata}
	if u.inline {
		wish.payload, wish.size = u.payload(0, u.info.Size), u.info.Size
	}
	made, err := u.client.create(ctx, wish, u.hooks, u.meter)
	if err != nil {
		if !u.inline {
			return u.after(ctx, StateCreating, err), err
		}
		// Without a URL nothing that arrived can be resumed, so the next attempt
		// creates first. It also tells a proxy that refuses the body from a server
		// that refuses the size.
		u.inline = u.opts.CreationWithUpload == CreationWithUploadAlways
		if errors.Is(err, ErrTooLarge) && !u.inline {
			return StateCreating, nil
		}
		return u.after(ctx, StateCreating, err), err
	}
	u.renewed = false
	u.mu.Lock()
	u.url, u.creation, u.expires = made.url, made.response, made.expires
	u.mu.Unlock()
	u.hooks.uploadURL(UploadURLEvent{Name: u.info.Name, URL: made.url.String(), Expires: made.expires})
	if err := u.acknowledge(made.offset); err != nil {
		return StateFailed, err
	}
	return StateReady, nil
}

// choose is the step of StateReady: the hub that every success comes back to.
func (u *Uploader) choose(context.Context) (State, error) {
	offset := u.Offset()
	if offset == u.info.Size && !u.deferred {
		return StateFinishing, nil
	}
	end := u.info.Size
	if u.stopAt > 0 && u.stopAt < end {
		if offset >= u.stopAt {
			u.stopAt = 0 // a further Run goes on to the end
			return StatePaused, ErrPaused
		}
		end = u.stopAt
	}
	size := end - offset
	if u.chunkSize > 0 {
		size = min(size, u.chunkSize)
	}
	u.next = chunk{
		offset: offset, size: size,
		declares: u.deferred, declare: u.info.Size,
		payload: u.payload(offset, size),
	}
	return StateSending, nil
}

// send is the step of StateSending.
func (u *Uploader) send(ctx context.Context) (State, error) {
	answer, err := u.client.patch(ctx, u.url, u.next, u.hooks, u.meter)
	if err == nil {
		u.deferred = false
		u.mu.Lock()
		u.lastPatch = answer.response
		if !answer.expires.IsZero() {
			u.expires = answer.expires
		}
		u.mu.Unlock()
		if err := u.acknowledge(answer.offset); err != nil {
			return StateFailed, err
		}
		return StateReady, nil
	}
	if ctx.Err() == nil {
		if errors.Is(err, ErrTooLarge) && u.halveChunk() {
			return StateRecovering, nil
		}
		if u.refusedAtEnd(err) {
			u.refusal = err
			return StateRecovering, nil
		}
	}
	return u.after(ctx, StateSending, err), err
}

// halveChunk makes chunks smaller after a 413, if the caller allows it.
func (u *Uploader) halveChunk() bool {
	floor := u.opts.MinChunkSize
	if floor == 0 || u.next.size <= floor {
		return false
	}
	// Services that want multiples want those of 256 KiB.
	const unit = 256 << 10
	half := u.next.size / 2
	if half > unit {
		half -= half % unit
	}
	u.chunkSize = max(half, floor)
	return true
}

// refusedAtEnd reports whether the server refused for good the chunk that
// would have completed the upload. It may have stored the bytes all the same,
// and refused what follows: only HEAD tells.
func (u *Uploader) refusedAtEnd(err error) bool {
	var e *Error
	if u.next.offset+u.next.size != u.info.Size || !errors.As(err, &e) || e.Temporary() {
		return false
	}
	switch e.StatusCode {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusGone,
		http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge:
		return false
	}
	return e.StatusCode >= 400 && e.StatusCode <= 499
}

// recover is the step of StateRecovering: the server is asked where it is.
func (u *Uploader) recover(ctx context.Context) (State, error) {
	info, err := u.client.head(ctx, u.url, u.hooks, u.meter)
	if err != nil {
		return u.after(ctx, StateRecovering, err), err
	}
	if err := u.matches(info); err != nil {
		return StateFailed, err
	}
	u.deferred = info.LengthDeferred
	if !info.Expires.IsZero() {
		u.mu.Lock()
		u.expires = info.Expires
		u.mu.Unlock()
	}
	if u.resuming {
		u.resuming = false
		u.meter.update(func(s *Stats) { s.ResumedFrom = info.Offset })
		u.mu.Lock()
		u.highest = info.Offset
		u.mu.Unlock()
	}
	if err := u.acknowledge(info.Offset); err != nil {
		return StateFailed, err
	}
	if refusal := u.refusal; refusal != nil {
		u.refusal = nil
		if info.Complete() {
			refusal = fmt.Errorf("%w: %w", ErrUnconfirmed, refusal)
		}
		return StateFailed, refusal
	}
	return StateReady, nil
}

// matches checks that the upload on the server can be one of this source.
func (u *Uploader) matches(info Info) error {
	switch {
	case !info.LengthDeferred && info.Length != u.info.Size:
		return fmt.Errorf("%w: %d bytes there, %d here", ErrSourceMismatch, info.Length, u.info.Size)
	case info.Offset > u.info.Size:
		return fmt.Errorf("%w: %d bytes there, %d here", ErrSourceMismatch, info.Offset, u.info.Size)
	}
	return nil
}

// finish is the step of StateFinishing.
func (u *Uploader) finish(context.Context) (State, error) {
	return StateComplete, nil
}

// unpause is the step of StatePaused. Where the server is may have changed in
// the meantime, so it is asked.
func (u *Uploader) unpause(context.Context) (State, error) {
	if u.url == nil {
		return StateIdle, nil
	}
	return StateRecovering, nil
}

// acknowledge takes over an offset from the server.
func (u *Uploader) acknowledge(offset int64) error {
	u.mu.Lock()
	u.offset = offset
	gain := max(0, offset-u.highest)
	u.highest += gain
	u.mu.Unlock()
	if gain > 0 {
		u.renewed = false
	}
	u.meter.update(func(s *Stats) { s.Acknowledged += gain })
	u.meter.begin(offset)
	u.reportProgress()
	return u.budget.acknowledged(offset)
}

// payload opens size bytes of the source from offset on.
func (u *Uploader) payload(offset, size int64) func(context.Context) (*body, error) {
	return func(ctx context.Context) (*body, error) {
		b, err := openBody(ctx, u.source, offset, size)
		if err != nil {
			return nil, err
		}
		b.verify = func() error { return u.verifySource(ctx) }
		return b, nil
	}
}

// verifySource notices a source that is no longer what the upload began with.
func (u *Uploader) verifySource(ctx context.Context) error {
	now, err := u.source.Stat(ctx)
	if err != nil {
		return sourceError(err)
	}
	if !now.sameData(u.info) {
		return fmt.Errorf("%w: it had %d bytes of %v, now %d of %v", ErrSourceChanged,
			u.info.Size, u.info.ModTime, now.Size, now.ModTime)
	}
	return nil
}
