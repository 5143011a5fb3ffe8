package tus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// create is the step of StateCreating.
func (u *Uploader) create(ctx context.Context) (State, error) {
	if u.parts != nil {
		return u.createParts(ctx)
	}
	if s := u.stream; s != nil && s.start > 0 { // what a new upload begins with is gone
		return StateFailed, &StreamError{BufferStart: s.start, BufferEnd: s.end()}
	}
	wish := creation{
		length: u.info.Size, deferred: u.info.SizeUnknown || u.opts.DeferLength,
		metadata: u.opts.Metadata, partial: u.position != nil,
	}
	u.next, u.told = chunk{}, false // what was sent to an upload that is gone says nothing now
	if u.inline {
		u.next = chunk{size: u.info.Size, payload: u.payload(0, u.info.Size)}
		if err := u.checksumOf(ctx, &u.next); err != nil {
			return u.after(ctx, StateCreating, err), err
		}
		wish.payload, wish.size = u.next.payload, u.next.size
		wish.checksum, wish.trailer = u.next.checksum, u.next.trailer
	}
	made, err := u.client.create(ctx, wish, u.hooks, u.meter)
	if changed := u.checksumSent(&u.next); changed != nil {
		return StateFailed, changed
	}
	if err != nil {
		if !u.inline {
			return u.after(ctx, StateCreating, err), err
		}
		if again, fatal := u.checksumRefused(err); again {
			return StateCreating, nil
		} else if fatal != nil {
			return StateFailed, fatal
		}
		// Without a URL nothing that arrived can be resumed, so the next attempt
		// creates first. It also tells a proxy that refuses the body from a server
		// that refuses the size. A 401 has nothing to do with the bytes.
		u.inline = u.opts.CreationWithUpload == CreationWithUploadAlways || unauthorized(err)
		if errors.Is(err, ErrTooLarge) && !u.inline {
			return StateCreating, nil
		}
		return u.after(ctx, StateCreating, err), err
	}
	u.deferred = wish.deferred
	u.mu.Lock()
	u.url, u.creation, u.expires = made.url, made.response, made.expires
	u.mu.Unlock()
	if u.position != nil { // before a hook can panic: the whole needs the URL
		u.position.expires(made.expires)
		err = u.position.created(ctx, made.url)
	}
	u.tellURL()
	if made.asks {
		made.offset = 0
	}
	if err := u.acknowledge(made.offset); err != nil {
		return StateFailed, err
	}
	if u.position == nil && !u.complete() { // one that is complete already needs no record
		err = u.saveCreated(ctx)
	}
	switch {
	case errors.Is(err, errURLTaken) && !u.retaken:
		// The answer was that to the creation of another part, sent once more by
		// something in between, which it may not do again.
		u.retaken = true
		u.client.CloseIdleConnections()
		u.mu.Lock()
		u.url = nil
		u.mu.Unlock()
		return StateCreating, err
	case err != nil:
		next := u.after(ctx, StateCreating, err)
		if next == StateCreating && u.position == nil {
			next = StateRecovering // it exists, and only its record is missing
		}
		return next, err
	case made.asks:
		return StateRecovering, nil
	}
	return StateReady, nil
}

func (u *Uploader) tellURL() {
	event := UploadURLEvent{Name: u.info.Name, URL: u.URL(), Expires: u.expiry()}
	switch {
	case u.position != nil:
		event.Concat = ConcatPartial
	case u.parts != nil:
		event.Concat = ConcatFinal
	}
	u.hooks.uploadURL(event)
}

// complete reports whether the server has all bytes and knows it.
func (u *Uploader) complete() bool {
	return !u.deferred && !u.info.SizeUnknown && u.Offset() == u.info.Size
}

// choose is the step of StateReady: the hub that every success comes back to.
func (u *Uploader) choose(ctx context.Context) (State, error) {
	if u.parts != nil {
		return u.chooseParts(), nil
	}
	if u.complete() {
		return StateFinishing, nil
	}
	if u.stream != nil {
		return u.chooseStream(ctx)
	}
	offset, end := u.Offset(), u.info.Size
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
	if held := u.sums.buffered; held.offset <= offset && offset < held.offset+held.size {
		size = min(size, held.offset+held.size-offset) // what begins in the buffer ends there
	}
	u.next = chunk{
		offset: offset, size: size,
		declares: u.deferred && offset+size == u.info.Size, declare: u.info.Size,
		payload: u.payload(offset, size),
	}
	return StateSending, nil
}

// send is the step of StateSending.
func (u *Uploader) send(ctx context.Context) (State, error) {
	if u.parts != nil {
		return u.sendParts(ctx)
	}
	if err := u.checksumOf(ctx, &u.next); err != nil {
		return u.after(ctx, StateSending, err), err
	}
	u.sums.cut = false
	start := time.Now()
	answer, err := u.client.patch(ctx, u.url, u.next, u.hooks, u.meter)
	if changed := u.checksumSent(&u.next); changed != nil {
		return StateFailed, changed
	}
	u.contended = contended(err)
	if err == nil {
		if u.next.declares {
			u.deferred = false
			u.lengthIs(u.next.declare)
		}
		u.mu.Lock()
		u.lastPatch = answer.response
		u.mu.Unlock()
		u.expiresAt(answer.expires)
		if err := u.acknowledge(answer.offset); err != nil {
			return StateFailed, err
		}
		u.position.answered(answer.response, answer.expires)
		u.chunkArrived()
		return StateReady, nil
	}
	if ctx.Err() == nil {
		if !u.lengthRefused(err) {
			if again, fatal := u.checksumRefused(err); again {
				return StateRecovering, nil
			} else if fatal != nil {
				return StateFailed, fatal
			}
		}
		if errors.Is(err, ErrTooLarge) && u.halveChunk() {
			return StateRecovering, nil
		}
		if u.refusedAtEnd(err) {
			u.refusal = err
			return StateRecovering, nil
		}
	}
	u.chunkCut(err)
	u.told = u.told || u.next.declares && (ctx.Err() != nil || outcomeUnknown(err))
	if broken(err) {
		u.settling = settlingTime(u.meter.sentUpTo()-u.next.offset, time.Since(start))
	}
	return u.after(ctx, StateSending, err), err
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

// broken reports whether a connection ended without an answer.
func broken(err error) bool { return unanswered(err) && !errors.Is(err, ErrStalled) }

// unanswered is broken, or that we ended a connection on which nothing moved.
func unanswered(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.StatusCode == 0 && e.Temporary()
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
	u.chunkSize, u.sums.adapts = max(half, floor), false // it follows a rule of the server now
	return true
}

// refusedAtEnd reports whether the server refused for good the chunk that
// would have completed the upload. It may have stored the bytes all the same,
// and refused what follows: only HEAD tells.
func (u *Uploader) refusedAtEnd(err error) bool {
	var e *Error
	last := u.next.declares || !u.info.SizeUnknown && u.next.offset+u.next.size == u.info.Size
	if !last || !errors.As(err, &e) || e.Temporary() {
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
	if err := u.keeper.reclaim(ctx); err != nil { // after a pause
		return u.after(ctx, StateRecovering, err), err
	}
	if u.parts != nil { // each asks for itself
		if !u.keeper.stored() {
			if err := u.saveParts(ctx); err != nil {
				return u.after(ctx, StateRecovering, err), err
			}
		}
		u.restartFailedParts()
		return StateReady, nil
	}
	if !u.keeper.stored() { // the pause came between the creation and its record, or that failed
		if err := u.saveCreated(ctx); err != nil {
			return u.after(ctx, StateRecovering, err), err
		}
	}
	info, err := u.client.head(ctx, u.url, u.hooks, u.meter)
	if uploadGone(err) && u.refusal != nil {
		refusal := u.refusal // by a server that also deleted the upload
		u.forget(ctx)
		return StateFailed, refusal
	}
	if err != nil {
		return u.after(ctx, StateRecovering, err), err
	}
	if u.given && info.Concat == ConcatFinal && !info.Complete() {
		return StateFailed, fmt.Errorf("%w: %s is a final upload that is not complete: bytes go to its parts (protocol section Concatenation)",
			ErrInvalidInput, redactURL(u.url))
	}
	if err := u.matches(info); err != nil {
		return StateFailed, err
	}
	u.deferred = info.LengthDeferred
	u.declaredLength(info)
	u.expiresAt(info.Expires)
	if u.resuming {
		u.resuming = false
		u.resumedAt(info.Offset)
	}
	if err := u.acknowledge(info.Offset); err != nil {
		return StateFailed, err
	}
	u.shrinkChunk(info.Offset)
	if refusal := u.refusal; refusal != nil {
		u.refusal = nil
		switch {
		case u.next.declares && !info.LengthDeferred && (!info.Complete() || u.next.size == 0 && u.lengthRefused(refusal)):
			// An earlier request that was cut told the length, perhaps after we had
			// asked: to tell it twice is refused, and it is not told again. But a
			// request that brought bytes, and completed the upload, was refused itself.
			return StateReady, nil
		case info.Complete():
			return StateFailed, fmt.Errorf("%w: %w", ErrUnconfirmed, refusal)
		case u.lengthRefused(refusal): // so it was something else
			if again, _ := u.checksumRefused(refusal); again {
				return StateReady, nil
			}
		}
		return StateFailed, refusal
	}
	return StateReady, nil
}

// lengthRefused reports whether the server may have refused a request because an
// earlier one, of which we saw no end, had told it the length already.
func (u *Uploader) lengthRefused(err error) bool {
	var e *Error
	return u.told && u.next.declares && errors.As(err, &e) && e.StatusCode == http.StatusBadRequest
}

// matches checks that the upload on the server can be one of this source.
func (u *Uploader) matches(info Info) error {
	switch {
	case u.info.SizeUnknown:
		return nil
	case !info.LengthDeferred && info.Length != u.info.Size:
		return fmt.Errorf("%w: %d bytes there, %d here", ErrSourceMismatch, info.Length, u.info.Size)
	case info.Offset > u.info.Size:
		return fmt.Errorf("%w: %d bytes there, %d here", ErrSourceMismatch, info.Offset, u.info.Size)
	}
	return nil
}

// finish is the step of StateFinishing.
//
// The source is looked at once more: where the kernel sends a file, bytes that
// it had taken but not sent yet when the last look was made are still the
// file's own memory.
func (u *Uploader) finish(ctx context.Context) (State, error) {
	if u.stream == nil {
		if err := u.verifySource(ctx); err != nil {
			return u.after(ctx, StateFinishing, err), err
		}
	}
	u.keeper.drop(ctx)
	u.terminateParts(ctx)
	return StateComplete, nil
}

// unpause is the step of StatePaused. Where the server is may have changed in
// the meantime, so it is asked, unless it has everything: then it may have put the
// upload away already, and nothing is left to do.
func (u *Uploader) unpause(context.Context) (State, error) {
	if u.prepared && u.created() && u.parts == nil && !u.resuming && u.complete() {
		return StateFinishing, nil
	}
	if u.prepared && (u.created() || u.parts.begun()) {
		return StateRecovering, nil
	}
	u.located = false
	u.setParts(nil)
	return StateIdle, nil
}

// created reports whether the upload exists on the server.
func (u *Uploader) created() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.url != nil
}

// acknowledge takes over an offset from the server.
func (u *Uploader) acknowledge(offset int64) error {
	u.mu.Lock()
	change := offset - u.offset
	u.offset = offset
	gain := max(0, offset-u.highest)
	u.highest += gain
	u.mu.Unlock()
	if gain > 0 {
		u.renewed, u.sums.mismatches = 0, 0
	}
	u.meter.update(func(s *Stats) { s.Acknowledged += gain })
	u.meter.begin(offset)
	u.position.moved(change, gain)
	u.reportProgress()
	if u.contended {
		return u.budget.observed(offset)
	}
	return u.budget.acknowledged(offset)
}

// payload opens size bytes of the source from offset on.
func (u *Uploader) payload(offset, size int64) func(context.Context) (*body, error) {
	source, toEnd := u.source, u.position == nil && offset+size == u.info.Size
	return u.verified(func(ctx context.Context) (*body, error) {
		b, err := openBody(ctx, source, offset, size)
		if err == nil {
			b.toEnd = toEnd
		}
		return b, err
	})
}

// limited makes a payload keep the rate limit of the upload.
func (u *Uploader) limited(open func(context.Context) (*body, error)) func(context.Context) (*body, error) {
	limit := u.opts.RateLimit
	return func(ctx context.Context) (*body, error) {
		b, err := open(ctx)
		if err == nil {
			b.limit = limit
		}
		return b, err
	}
}

// verified makes a payload hold its last bytes back until the source has been
// looked at.
func (u *Uploader) verified(open func(context.Context) (*body, error)) func(context.Context) (*body, error) {
	open = u.limited(open)
	source, begun := u.source, u.info // a Read that is left behind may ask much later
	return func(ctx context.Context) (*body, error) {
		b, err := open(ctx)
		if err == nil {
			b.verify = func() error { return verify(ctx, source, begun) }
		}
		return b, err
	}
}

// verifySource notices a source that is no longer what the upload began with.
func (u *Uploader) verifySource(ctx context.Context) error {
	return verify(ctx, u.source, u.info)
}

func verify(ctx context.Context, source Source, begun SourceInfo) error {
	now, err := source.Stat(ctx)
	if err != nil {
		return sourceError(err)
	}
	return begun.changed(now)
}
