package tus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// parallel sends a source as partial uploads, each a transfer of its own, and then has the
// server make the final upload of them (protocol section Concatenation).
//
//	state          a step does                        and leads to
//	-------------  ---------------------------------  ---------------------------------
//	Creating       POST of every part                 Ready
//	Ready          nothing                            Sending; Concatenating if all
//	                                                  parts are complete; Finishing if
//	                                                  the final upload is
//	Sending        every part to its end              Ready
//	Recovering     nothing: each part recovers by     Ready
//	               itself, in Sending
//	Concatenating  POST of the final upload; HEAD if  Ready; Recovering if the server
//	               an earlier session created it      does not have all parts
//	Finishing      compare the source with what it    Complete
//	               was at the beginning
//
// Recovering follows a pause, or a final upload that was refused.
type parallel struct {
	requester
	source *ranged // the whole
	opts   *UploadOptions
	sizer  *chunkSizer // of which each part has a copy
	sums   *sums
	ledger *ledger

	machine
	list        parts
	connections int
	final       *url.URL // of the final upload; nil until created
	rechecked   bool     // the final upload was refused, and the offset of each part requested
	uncertain   bool     // the response to the creation of the final upload was lost
	done        bool     // the final upload is complete
	absence     absence

	saving    sync.Mutex // held while a part is stored
	lastPatch *Response  // requires saving
}

func (p *parallel) exists() bool { return len(p.urls()) > 0 }

func (p *parallel) inOneRequest() bool { return false }

func (p *parallel) urls() []*url.URL {
	if p.final == nil {
		return p.list.urls()
	}
	return append([]*url.URL{p.final}, p.list.urls()...)
}

func (p *parallel) account() account {
	sum := p.list.account()
	sum.url, sum.info, sum.checksum = p.final, p.source.info, p.sums.algorithm.Name
	return sum
}

func (p *parallel) describe(rec *storage.Record) {
	rec.Finishing, rec.Parts = p.uncertain || p.final != nil, p.list.stored()
}

// transitions returns the row of the table for the current state.
func (p *parallel) transitions() (work func(context.Context) outcome, to states) {
	switch p.state {
	case StateCreating:
		return p.create, setOf(StateReady)
	case StateReady:
		return p.choose, setOf(StateSending, StateConcatenating, StateFinishing)
	case StateSending:
		return p.send, setOf(StateReady)
	case StateRecovering:
		return func(context.Context) outcome { return outcome{next: StateReady} }, setOf(StateReady)
	case StateConcatenating:
		return p.concatenate, setOf(StateReady, StateRecovering)
	case StateFinishing:
		return p.finish, setOf(StateComplete)
	}
	return nil, 0
}

func (p *parallel) step(ctx context.Context) outcome { return p.machine.step(ctx, p.transitions) }

// finish is the step of StateFinishing. A failure to delete the parts does not matter.
func (p *parallel) finish(ctx context.Context) outcome {
	if ctx.Err() != nil {
		return outcome{next: StatePaused, err: async.ContextError(ctx)}
	}
	if err := p.source.verify(ctx); err != nil {
		return p.failed(ctx, err)
	}
	if p.opts.ParallelOptions.TerminateParts {
		p.terminateParts(ctx)
	}
	return outcome{next: StateComplete}
}

// terminateParts deletes the parts on the server, as far as it can.
func (p *parallel) terminateParts(ctx context.Context) {
	for _, at := range p.list.urls() {
		if ctx.Err() == nil {
			_ = p.terminate(ctx, at)
		}
	}
}

// failed returns the outcome of a failure.
func (p *parallel) failed(ctx context.Context, err error) outcome {
	return outcome{next: p.retries.after(ctx, p.state, err), err: err}
}

// choose is the step of StateReady.
func (p *parallel) choose(context.Context) outcome {
	switch {
	case p.done:
		return outcome{next: StateFinishing}
	case p.final != nil, p.list.complete():
		return outcome{next: StateConcatenating}
	}
	return outcome{next: StateSending}
}

// resume is called before the first step after a pause.
func (p *parallel) resume() {
	if !p.exists() {
		return
	}
	for _, part := range p.list {
		if part.state != StateComplete {
			part.transfer.resume()
		}
	}
	p.enter(StateRecovering)
}

// create creates every part, and stores them all before the first byte is sent. The number
// of parts may depend on the URL of the first one.
func (p *parallel) create(ctx context.Context) outcome {
	var err, tooLong error
	list := p.list
	if int64(len(list))*longURL > p.opts.maxConcatLine() {
		err = p.runAll(ctx, list[:1])
		tooLong = p.fit() // also if ctx has ended: a later session resumes these parts
		list = p.list[1:]
	}
	if err == nil && tooLong == nil {
		err = p.runAll(ctx, list)
		tooLong = p.checkConcatLine()
	}
	if tooLong != nil {
		return p.abandon(ctx, tooLong)
	}
	if p.exists() { // a later session can resume those that exist
		if saved := p.ledger.save(ctx); err == nil && saved != nil {
			return p.failed(ctx, saved)
		}
	}
	switch {
	case err == nil:
		return outcome{next: StateReady}
	case ctx.Err() != nil:
		return outcome{next: StatePaused, err: async.ContextError(ctx)}
	}
	return outcome{next: StateFailed, err: err}
}

// fit cuts the source into fewer parts if their URLs, which are about as long as the first
// one, would exceed the limit of the Upload-Concat header.
func (p *parallel) fit() error {
	first := p.list[0]
	at := first.account().url
	if at == nil {
		return nil
	}
	most := mostParts(p.opts.maxConcatLine(), at)
	if p.opts.ParallelOptions.PartBoundaries == nil && most < int64(len(p.list)) {
		p.list = parts{first}
		for _, s := range cutSpans(p.source.info.Size-first.size, max(most, 2)-1, p.opts.ParallelOptions.MinPartSize) {
			s.offset += first.size
			p.list = append(p.list, p.newPart(s))
		}
	}
	return p.checkConcatLine()
}

// checkConcatLine returns an error if the final upload could not be created of the parts.
func (p *parallel) checkConcatLine() error {
	line, limit := p.list.concatLine(), p.opts.maxConcatLine()
	if line <= limit {
		return nil
	}
	return fmt.Errorf("%w: ParallelOptions.MaxConcatHeader is %d, but the header line with the URLs of %d parts has %d bytes",
		ErrInvalidInput, limit, len(p.list), line)
}

// abandon deletes parts that have no bytes yet and cannot become a final upload.
func (p *parallel) abandon(ctx context.Context, reason error) outcome {
	p.terminateParts(ctx)
	p.list = nil
	if p.opts.ParallelOptions.Required {
		return outcome{next: StateFailed, err: reason, lost: true}
	}
	return outcome{next: StateCreating, lost: true, single: true}
}

// send sends every part to its end. Each retries by the client's policy.
func (p *parallel) send(ctx context.Context) outcome {
	err := p.runAll(ctx, p.list)
	o := outcome{next: StateFailed, err: err, patched: p.lastPatch}
	switch {
	case err == nil:
		if o.err = p.retries.acknowledged(p.account().offset, 0, 0); o.err == nil {
			o.next = StateReady
		}
	case ctx.Err() != nil:
		o.next, o.err = StatePaused, async.ContextError(ctx)
	case uploadGone(err) && p.uncertain:
		o.err = fmt.Errorf("%w: a response was lost, and now the parts are gone: %w", ErrUnconfirmed, err)
	}
	return o
}

// runAll runs the parts of a list, as many at a time as there are connections. The first
// that fails, or panics, ends the others.
func (p *parallel) runAll(ctx context.Context, list parts) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	panics := async.Panics{Stop: func() { cancel(async.ErrPanicked) }}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.connections)
	for _, part := range list {
		group.Go(func() error {
			if ctx.Err() != nil {
				return async.ContextError(ctx)
			}
			var err error
			panics.Run(func() { err = p.run(ctx, part) })
			if err != nil {
				return fmt.Errorf("part at offset %d: %w", part.offset, err)
			}
			return nil
		})
	}
	err := group.Wait()
	panics.Repanic()
	return err
}

// run drives a part until it is complete, or until it exists if the state is StateCreating.
func (p *parallel) run(ctx context.Context, part *part) error {
	defer func() {
		if part.state == StateComplete {
			part.close()
		} else {
			part.stopAhead()
		}
	}()
	exhausted, err := part.retries.repeat(ctx, part.requester, func() (bool, error) {
		if part.state == StateComplete || p.state == StateCreating && part.exists() {
			return true, nil
		}
		o := part.step(ctx)
		if err := p.report(ctx, part, &o); err != nil {
			return true, err
		}
		if contended(o.err) && o.next != StateFailed && ctx.Err() == nil {
			if err := p.ledger.confirm(ctx); err != nil {
				return true, err
			}
		}
		return o.next == StatePaused || o.next == StateFailed, o.err
	})
	if exhausted { // a Run after a pause retries the part
		part.retries.reset(part.account().offset)
	}
	return err
}

// errURLTaken is returned when two parts have one URL.
var errURLTaken = fmt.Errorf("%w: two parts were given the URL", ErrProtocol)

// report stores and reports the outcome of a step of a part.
func (p *parallel) report(ctx context.Context, part *part, o *outcome) error {
	if o.patched != nil {
		p.saving.Lock()
		p.lastPatch = o.patched
		p.saving.Unlock()
	}
	if o.lost {
		p.warn(ctx, p.source.info.Name, fmt.Sprintf("tus starting over: part at offset %d: %v", part.offset, o.err))
		p.ledger.changed()
	}
	if o.created == nil {
		return nil
	}
	err := p.accept(ctx, part, o.created.url)
	switch taken := errors.Is(err, errURLTaken); {
	case !taken: // a hook may panic: the part is already stored
		p.hooks.created(o.created.exported())
	case !part.repeated:
		// Something between client and server sent the response to the creation of
		// another part twice, and may not do so again.
		part.repeated = true
		p.client.CloseIdleConnections()
		o.next, o.err = StateCreating, err
		return nil
	}
	p.ledger.changed()
	return err
}

// accept stores a new part; create stores all parts at once. Two parts with one URL, as
// after a proxy has sent a response twice, would make an upload that differs from the source.
func (p *parallel) accept(ctx context.Context, part *part, at *url.URL) error {
	p.saving.Lock()
	defer p.saving.Unlock()
	if p.list.has(at, part) {
		part.updateAccount(func(a *account) { a.url, a.offset = nil, 0 })
		part.enter(StateCreating)
		return fmt.Errorf("%w %s", errURLTaken, p.redactor.URL(at))
	}
	if p.state == StateCreating {
		return nil
	}
	return p.ledger.save(ctx)
}

// recheck makes each part request its offset.
func (p *parallel) recheck() {
	for _, part := range p.list {
		old, counters := part.account(), part.counters
		part.transfer = p.newPart(part.span).transfer
		part.counters = counters
		part.updateAccount(func(a *account) { a.url, a.expires = old.url, old.expires })
		part.enter(StateRecovering)
		// Parts that vanished after a lost response were probably concatenated.
		part.plan.recreates = !p.uncertain
	}
	p.ledger.changed()
}

func (p *parallel) stopAhead() {
	p.source.stopAhead()
	for _, part := range p.list {
		part.stopAhead()
	}
}

func (p *parallel) close() {
	p.source.close()
	for _, part := range p.list {
		part.close()
	}
}
