package tus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
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
	// What was sent to an upload that is gone, or is not resumed, says nothing now.
	u.next, u.told, u.sentTo, u.absence = chunk{}, false, 0, absence{}
	if u.inline {
		n := u.carried()
		u.next = chunk{size: n, payload: u.payload(0, n), last: n == u.info.Size}
		if err := u.checksumOf(ctx, &u.next); err != nil {
			return u.after(ctx, StateCreating, err), err
		}
		wish.payload, wish.size = u.next.payload, u.next.size
		wish.checksum, wish.trailer = u.next.checksum, u.next.trailer
	}
	made, err := u.requester.create(ctx, wish)
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
		// that refuses the size. A 401, or a request that never left, has nothing to
		// do with the bytes.
		u.inline = u.opts.CreationWithUpload == CreationWithUploadAlways || unauthorized(err) || unsent(err) || u.isEmpty()
		if errors.Is(err, ErrTooLarge) && (!u.inline || u.halveChunk()) {
			return StateCreating, nil
		}
		return u.after(ctx, StateCreating, err), err
	}
	u.deferred = wish.deferred
	u.createdAs(made)
	if u.position != nil { // before a hook can panic: the whole needs the URL
		u.position.expires(made.expires)
		err = u.position.created(ctx, made.url)
	}
	if made.url != nil {
		u.tellURL()
	}
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
		u.url, u.creation = nil, nil // a creation without a URL is one that completed the upload
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

// createdAs takes over what the server says of a new upload.
func (u *Uploader) createdAs(made created) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.url, u.creation, u.expires, u.kept = made.url, made.response, made.expires, made.kept
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
	if u.chunks.size > 0 {
		size = min(size, u.chunks.size)
	}
	if held := u.sums.buffered; held.offset <= offset && offset < held.offset+held.size {
		size = min(size, held.offset+held.size-offset) // what begins in the buffer ends there
	}
	last := offset+size == u.info.Size
	u.next = chunk{
		offset: offset, size: size, last: last,
		declares: u.deferred && last, declare: u.info.Size,
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
	start := time.Now()
	answer, err := u.requester.patch(ctx, u.url, u.next)
	if end := u.next.offset + u.next.size; mayHaveArrived(err) && u.counters.sentUpTo() >= end {
		u.sentTo = end
	}
	err = u.judgeGone(ctx, u.url, err)
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
		u.chunks.succeeded()
		return StateReady, nil
	}
	u.chunks.failed()
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
			u.refuse(ctx, err)
			if !IsTemporary(err) {
				return StateRecovering, nil
			}
		}
	}
	if unanswered(err) {
		u.chunks.wasCut(u.next.size, u.counters.sentUpTo()-u.next.offset)
	}
	u.told = u.told || u.next.declares && (ctx.Err() != nil || outcomeUnknown(err))
	if broken(err) {
		u.settling = settlingTime(u.counters.sentUpTo()-u.next.offset, time.Since(start))
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
	half := u.next.size / 2
	if half > chunkUnit {
		half -= half % chunkUnit
	}
	u.chunks.fix(max(half, floor))
	return true
}

// refusedAtEnd reports whether the server refused the chunk that would have completed the
// upload. It may have stored the bytes all the same, and failed at what follows: only HEAD
// tells. A 5xx without Tus-Resumable is a proxy's, so that the response of the server is
// lost and nothing was refused.
func (u *Uploader) refusedAtEnd(err error) bool {
	var e *Error
	if !u.next.last || !errors.As(err, &e) || contended(err) && e.Temporary() || errors.Is(err, ErrChecksumMismatch) {
		return false
	}
	switch e.StatusCode {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusGone, http.StatusRequestTimeout,
		http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge, http.StatusMisdirectedRequest,
		http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return e.StatusCode >= 400 && e.StatusCode <= 499 || e.StatusCode >= 500 && e.tus
}

// refuse notes the refusal of the chunk that would have completed the upload, also for a
// later session.
func (u *Uploader) refuse(ctx context.Context, refusal error) {
	u.refusal = refusal
	var e *Error
	if errors.As(refusal, &e) {
		// The refusal matters more than a failure of the store, which the hooks have.
		_ = saveEnd(ctx, u.record, func(rec *storage.Record) { rec.Refusal = statusText(e.StatusCode) })
	}
}

// refusedForGood reports whether a refusal, nil if there was none, would be repeated.
func refusedForGood(refusal error) bool { return refusal != nil && !IsTemporary(refusal) }

// notComplete notes that the server has shown the upload and lacks bytes of it: whatever
// became of the last request, it did not complete the upload.
func (u *Uploader) notComplete(ctx context.Context) error {
	u.sentTo = 0
	return saveEnd(ctx, u.record, notComplete)
}

// recover is the step of StateRecovering: the server is asked where it is.
func (u *Uploader) recover(ctx context.Context) (State, error) {
	if err := u.leasedRecord().acquire(ctx); err != nil { // after a pause, or when another writer was noticed
		return u.after(ctx, StateRecovering, err), err
	}
	if u.parts != nil { // each asks for itself
		if !u.record.stored() {
			if err := u.saveParts(ctx); err != nil {
				return u.after(ctx, StateRecovering, err), err
			}
		}
		u.restartFailedParts()
		return StateReady, nil
	}
	if !u.record.stored() { // the pause came between the creation and its record, or that failed
		if err := u.saveCreated(ctx); err != nil {
			return u.after(ctx, StateRecovering, err), err
		}
	}
	info, err := u.requester.head(ctx, u.url)
	if u.isEmpty() && !u.given && u.refusal == nil && needsPatch(info, err) {
		u.next = chunk{last: true, payload: u.payload(0, 0)}
		return StateSending, nil
	}
	err = u.judgeGone(ctx, u.url, err)
	if refusal := u.refusal; uploadGone(err) && refusedForGood(refusal) {
		u.forget(ctx) // the server deleted it
		return StateFailed, refusal
	}
	if err != nil {
		return u.after(ctx, StateRecovering, err), err
	}
	if u.stale(info.Offset) {
		return StateRecovering, &Error{Method: http.MethodHead, URL: u.client.redactor.URL(u.url), StatusCode: info.Response.StatusCode,
			Err: fmt.Errorf("%w: %d, acknowledged %d", errStale, info.Offset, u.Offset())}
	}
	if u.given && info.Concat == ConcatFinal && !info.Complete() {
		return StateFailed, fmt.Errorf("%w: %s is a final upload that is not complete: bytes go to its parts (protocol section Concatenation)",
			ErrInvalidInput, u.client.redactor.URL(u.url))
	}
	if !u.deferred && !u.resuming { // created with its length, or it was told since
		info = info.withLength(u.info.Size)
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
	u.chunks.recovered(info.Offset > u.next.offset)
	if !info.Complete() {
		if err := u.notComplete(ctx); err != nil {
			return u.after(ctx, StateRecovering, err), err
		}
	}
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
		case IsTemporary(refusal): // the server lacks bytes, which are sent again
			return StateReady, nil
		case u.lengthRefused(refusal): // so it was something else
			if again, _ := u.checksumRefused(refusal); again {
				return StateReady, nil
			}
		}
		return StateFailed, refusal
	}
	return StateReady, nil
}

// needsPatch reports whether the response to HEAD leaves open that a new empty upload is
// complete: some servers make nothing of one, and respond with an error, before a PATCH.
func needsPatch(info Info, err error) bool {
	if err == nil {
		return info.LengthDeferred && info.Offset == 0 && info.Response.Header.Get(headerUploadDeferLength) == ""
	}
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	return e.StatusCode >= 200 && e.StatusCode <= 299 || isGone(e.StatusCode) || e.StatusCode == http.StatusInternalServerError
}

// maxStale is how often the server is asked again for an offset below an acknowledged one.
const maxStale = 3

// stale reports whether to ask again because the offset lies below one that the server
// acknowledged and the source cannot go back that far. A replica that lags behind has the
// right one a moment later.
func (u *Uploader) stale(offset int64) bool {
	cannotGoBack := u.info.Sequential && offset < u.Offset()
	if u.stream != nil {
		cannotGoBack = offset < u.stream.start
	}
	if !cannotGoBack || u.staleHeads >= min(maxStale, u.client.retry.maxRetries()-u.budget.failures) {
		u.staleHeads = 0
		return false
	}
	u.staleHeads++
	return true
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
		err := u.verifySource(ctx)
		if u.position == nil && errors.Is(err, errTouched) {
			err = nil // every byte is acknowledged, and the content is what it was
		}
		if err != nil {
			return u.after(ctx, StateFinishing, err), err
		}
	}
	u.record.drop(ctx)
	u.terminateParts(ctx)
	return StateComplete, nil
}

// unpause is the step of StatePaused. Where the server is may have changed in
// the meantime, so it is asked, unless it has everything: then it may have put the
// upload away already, and nothing is left to do.
func (u *Uploader) unpause(context.Context) (State, error) {
	switch {
	case !u.prepared || u.parts != nil || u.resuming:
	case u.unnamed(), u.created() && u.complete() && !u.isEmpty(): // whether an empty one is complete, HEAD tells
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

// unnamed reports whether the creation completed the upload without naming its URL.
func (u *Uploader) unnamed() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.url == nil && u.creation != nil
}

// acknowledge takes over an offset from the server.
func (u *Uploader) acknowledge(offset int64) error {
	u.mu.Lock()
	change, sent := offset-u.offset, u.counters.sentUpTo()-u.offset
	u.offset = offset
	gain := max(0, offset-u.highest)
	u.highest += gain
	u.mu.Unlock()
	if gain > 0 {
		u.renewed, u.sums.mismatches = 0, 0
	}
	u.counters.update(func(s *Stats) { s.Acknowledged += gain })
	u.counters.begin(offset)
	u.position.moved(change, gain)
	u.reportProgress()
	if u.contended {
		return u.budget.observed(offset, change, sent)
	}
	return u.budget.acknowledged(offset, change, sent)
}

// payload makes a body of size bytes of the source from offset on.
func (u *Uploader) payload(offset, size int64) func(context.Context) *body {
	source, limit, toEnd := u.source, u.client.sourceTimeout, u.position == nil && offset+size == u.info.Size
	return u.verified(offset+size, func(ctx context.Context) *body {
		b := newBody(ctx, offset, size, func() (io.ReadCloser, error) { return openSource(ctx, ctx, source, offset, limit) })
		b.toEnd = toEnd
		return b
	})
}

// limited makes a payload keep the rate limit of the upload.
func (u *Uploader) limited(payload func(context.Context) *body) func(context.Context) *body {
	limit := u.opts.RateLimit
	return func(ctx context.Context) *body {
		b := payload(ctx)
		b.limit = limit
		return b
	}
}

// verified makes a payload that ends at an offset hold its last bytes back until the
// source has been looked at; if they are the last of all, closely, and until it is stored
// that they leave.
func (u *Uploader) verified(end int64, payload func(context.Context) *body) func(context.Context) *body {
	payload = u.limited(payload)
	source, begun, limit := u.source, u.info, u.client.sourceTimeout // a Read that is left behind may ask much later
	last := u.position == nil && end == begun.Size
	return func(ctx context.Context) *body {
		b := payload(ctx)
		b.verify = func() error {
			if err := verify(ctx, source, begun, last, b.src, limit); err != nil || !last {
				return err
			}
			return u.saveFinishing(ctx)
		}
		return b
	}
}

// saveFinishing stores that the last byte is about to leave: if the server then no longer
// has the upload, a later session must not send it again.
func (u *Uploader) saveFinishing(ctx context.Context) error {
	err := saveEnd(ctx, u.record, func(rec *storage.Record) { rec.Finishing = true })
	if errors.Is(err, ErrLeaseLost) {
		u.interruptWith(err)
	}
	return err
}

// verifySource notices a source that is no longer what the upload began with. That of
// a part is looked at closely when all parts are there.
func (u *Uploader) verifySource(ctx context.Context) error {
	return verify(ctx, u.source, u.info, u.position == nil, nil, u.client.sourceTimeout)
}

// verify compares what Stat returns or, if deep is set and the source is a file, all
// that can be told of it, a sample included. reader, if not nil, is open.
func verify(ctx context.Context, source Source, begun SourceInfo, deep bool, reader io.Reader, limit time.Duration) error {
	if file, ok := source.(contentVerifier); ok && deep {
		_, err := callSource(ctx, limit, "the last look at it", func() (struct{}, error) { return struct{}{}, file.verifyContent(ctx, reader) }, nil)
		if err != nil {
			return sourceError(err)
		}
		return nil
	}
	now, err := statSource(ctx, source, limit)
	if err != nil {
		return sourceError(err)
	}
	return begun.changed(now)
}
