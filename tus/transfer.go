package tus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// transfer sends one range of bytes of a source to one upload URL: it creates the upload,
// sends its chunks, and requests the offset after a failure.
//
//	state       a step does                     and leads to
//	----------  ------------------------------  ----------------------------------------
//	Creating    POST                            Ready; Recovering if the offset has to be
//	                                            requested
//	Ready       choose the next chunk           Sending; Finishing if all is acknowledged
//	Sending     PATCH                           Ready; Recovering after a failure;
//	                                            Creating if the upload is gone
//	Recovering  HEAD                            Ready; Creating likewise; Sending if an
//	                                            empty upload takes a PATCH
//	Finishing   compare the source with what    Complete
//	            it was at the beginning
//	Complete    nothing
//
// A failure that is retried leads to the same state, except for Sending.
type transfer struct {
	requester
	plan   plan
	chunks chunker
	sizer  *chunkSizer
	sums   *sums

	machine
	next     chunk // chosen in Ready, sent in Sending
	carries  carried
	resuming bool // the next HEAD returns the offset that an earlier session reached
	restored bool // the upload is one that an earlier session created
	stopAt   int64
	length   lengthState
	completion
	stale         int  // HEAD responses in a row below an acknowledged offset
	offsetMayMove bool // the last PATCH was refused because of another request, which may move the offset

	changed func() // called after the account has changed
	sending func() // called before a chunk whose size adapts is sent
	mu      sync.Mutex
	known   account
}

// carried describes the bytes that the request that creates the upload carries (section
// Creation With Upload).
type carried struct {
	some  bool
	whole bool  // all bytes of the source
	most  int64 // maximum number; not used for an empty source
}

// plan is the configuration of a transfer.
type plan struct {
	metadata  Metadata
	partial   bool  // the upload is part of another (section Concatenation)
	recreates bool  // an upload that is gone is created again
	defers    bool  // the creation does not declare the length
	minChunk  int64 // minimum size when chunks that are too large are halved; 0 for never
}

// lengthState says whether the server has the length of the upload.
type lengthState struct {
	deferred bool // not declared yet
	declared bool // a request declared it, and the response was lost
}

// refused reports whether the server may have refused a chunk because an earlier request
// without a response had already declared the length.
func (l lengthState) refused(c chunk, err error) bool {
	return l.declared && c.declares && verdictOf(err).malformed
}

// completion distinguishes an upload that was lost from one that was completed and moved away.
type completion struct {
	refusal error // of the chunk that would have completed the upload
	sentTo  int64 // end of the bytes that were sent, if the server may have all of them; 0 for none
	absence absence
}

// transitions returns the row of the table for the current state.
func (t *transfer) transitions() (work func(context.Context) outcome, to states) {
	switch t.state {
	case StateCreating:
		return t.create, setOf(StateReady, StateRecovering)
	case StateReady:
		return t.choose, setOf(StateSending, StateFinishing)
	case StateSending:
		return t.send, setOf(StateReady, StateRecovering, StateCreating)
	case StateRecovering:
		return t.recover, setOf(StateReady, StateSending, StateCreating)
	case StateFinishing:
		return t.finish, setOf(StateComplete)
	}
	return nil, 0
}

func (t *transfer) step(ctx context.Context) outcome { return t.machine.step(ctx, t.transitions) }

// resume is called before the first step after a pause. The offset of the server may have
// changed, so it is requested, unless the server has all bytes: it may have moved the upload
// away.
func (t *transfer) resume() {
	a := t.account()
	switch {
	case t.state == StateCreating:
	case t.state == StateComplete: // its record was not removed
		t.enter(StateFinishing)
	case !t.resuming && t.complete() && (a.url == nil || !a.info.empty()):
		t.enter(StateFinishing) // only HEAD shows whether an empty upload is complete
	default:
		t.enter(StateRecovering)
	}
}

// exists reports whether the upload exists on the server.
func (t *transfer) exists() bool { return t.state != StateCreating }

func (t *transfer) account() account {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.known
	a.sent = max(t.counters.sentUpTo(), a.offset)
	return a
}

func (t *transfer) updateAccount(update func(*account)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	update(&t.known)
}

func (t *transfer) urls() []*url.URL {
	if at := t.account().url; at != nil {
		return []*url.URL{at}
	}
	return nil
}

// complete reports whether the server has all bytes and the length.
func (t *transfer) complete() bool {
	a := t.account()
	return !t.length.deferred && !a.info.SizeUnknown && a.offset == a.info.Size
}

// choose is the step of StateReady.
func (t *transfer) choose(ctx context.Context) outcome {
	if t.complete() {
		return outcome{next: StateFinishing}
	}
	a := t.account()
	if !a.info.SizeUnknown && t.stopAt >= a.info.Size {
		t.stopAt = 0
	}
	if t.stopAt > 0 && a.offset >= t.stopAt {
		t.stopAt = 0 // the next Run sends the rest
		return outcome{next: StatePaused, err: ErrPaused, stopped: true}
	}
	next, more, err := t.chunks.next(ctx, cut{offset: a.offset, stopAt: t.stopAt, deferred: t.length.deferred, most: t.sizer.next()})
	switch {
	case err != nil && ctx.Err() != nil:
		return outcome{next: StatePaused, err: err}
	case err != nil:
		return outcome{next: StateFailed, err: err}
	case !more:
		t.setLength(a.offset)
		return outcome{next: StateFinishing}
	}
	t.next = next
	return outcome{next: StateSending}
}

// setLength sets the length that the server has.
func (t *transfer) setLength(length int64) {
	info := t.chunks.declared(length)
	t.updateAccount(func(a *account) { a.info = info })
}

// finish is the step of StateFinishing.
func (t *transfer) finish(ctx context.Context) outcome {
	if err := t.chunks.verify(ctx); err != nil {
		return t.failed(ctx, err)
	}
	return outcome{next: StateComplete}
}

// failed returns the outcome of a failure.
func (t *transfer) failed(ctx context.Context, err error) outcome {
	switch {
	case ctx.Err() != nil:
		return outcome{next: StatePaused, err: err}
	case uploadGone(err) && t.plan.recreates && t.exists() && !errors.Is(err, errGoneAtOnce):
		return t.startOver(err)
	case t.state == StateSending && errors.Is(err, ErrNotRecoverable) && !isHookError(err) && t.restored && t.counters.snapshot().Sent == 0:
		// The source cannot be read from the offset of the stored upload, in this
		// session or a later one.
		return t.startOver(err)
	}
	next := t.retries.after(ctx, t.state, err)
	if next == StateSending { // the offset of the server is unknown
		next = StateRecovering
	}
	return outcome{next: next, err: err}
}

// startOver abandons an upload that is gone from the server, or that the source cannot
// continue. The next step creates another one. If an earlier session created the upload,
// it leads to StateIdle, where the planner decides how to send the source.
func (t *transfer) startOver(reason error) outcome {
	o := outcome{next: StateCreating, err: reason, lost: true}
	lost, restored := t.account().offset, t.restored
	t.updateAccount(func(a *account) { a.url, a.offset, a.request, a.expires = nil, 0, 0, time.Time{} })
	t.enter(StateCreating)
	t.length.deferred, t.resuming, t.restored = false, false, false
	t.counters.update(func(s *Stats) { s.Restarts++ })
	t.refusal = nil
	if t.retries.goneInRow++; lost > 0 || restored {
		t.retries.goneInRow = 0
	}
	if err := t.retries.acknowledged(0, 0, 0); err != nil {
		o.next = StateFailed
		return o
	}
	t.retries.reset(0) // the failures were of the upload that is gone
	if restored {
		o.next = StateIdle
	}
	return o
}

// acknowledge sets the offset that the server acknowledged, and reports it.
func (t *transfer) acknowledge(offset int64) error {
	err := t.advance(offset)
	t.changed()
	return err
}

// advance is acknowledge without a report.
func (t *transfer) advance(offset int64) error {
	var change, sent int64
	t.updateAccount(func(a *account) {
		change, sent = offset-a.offset, t.counters.sentUpTo()-a.offset
		a.offset, a.request = offset, 0
	})
	if t.counters.acknowledge(offset) > 0 {
		t.retries.renewals, t.sums.mismatches = 0, 0
	}
	t.counters.begin(offset)
	if t.offsetMayMove {
		return t.retries.observed(offset, change, sent)
	}
	return t.retries.acknowledged(offset, change, sent)
}

// matches returns an error if the upload on the server cannot be one of this source.
func (a SourceInfo) matches(info Info) error {
	switch {
	case a.SizeUnknown:
		return nil
	case !info.LengthDeferred && info.Length != a.Size:
		return fmt.Errorf("%w: %d bytes there, %d here", ErrSourceMismatch, info.Length, a.Size)
	case info.Offset > a.Size:
		return fmt.Errorf("%w: %d bytes there, %d here", ErrSourceMismatch, info.Offset, a.Size)
	}
	return nil
}

// describe adds nothing to a record: the upload has no parts.
func (t *transfer) describe(*storage.Record) {}

func (t *transfer) stopAhead() { t.chunks.stopAhead() }

func (t *transfer) close() {
	t.chunks.close()
	t.next = chunk{}
}
