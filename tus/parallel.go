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
//	Recovering     nothing: it follows a pause, or a  Ready
//	               final upload that was refused. Each
//	               part recovers by itself, in Sending
//	Concatenating  POST of the final upload; HEAD if  Ready; Recovering if the server
//	               an earlier session created it      does not have all parts
//	Finishing      compare the source with what it    Complete
//	               was at the beginning
type parallel struct {
	requester
	source *ranged // the whole
	opts   *UploadOptions
	sums   *sums
	owner  owner

	machine
	list        parts
	connections int
	final       *url.URL // of the final upload; nil until created
	rechecked   bool     // the final upload was refused, and the server asked whether it has all parts
	uncertain   bool     // the response to the creation of the final upload was lost
	done        bool     // the final upload is complete
	absence     absence

	saving    sync.Mutex // held while a part is stored, one at a time
	lastPatch *Response  // needs saving
}

// exists reports whether anything exists on the server.
func (p *parallel) exists() bool { return len(p.urls()) > 0 }

func (p *parallel) inOneRequest() bool { return false }

// urls returns those of all uploads that exist.
func (p *parallel) urls() []*url.URL {
	if p.final == nil {
		return p.list.urls()
	}
	return append([]*url.URL{p.final}, p.list.urls()...)
}

// account adds the parts up.
func (p *parallel) account() account {
	sum := p.list.account()
	sum.url, sum.info, sum.checksum = p.final, p.source.info, p.sums.algorithm.Name
	return sum
}

// describe fills in the record of the upload.
func (p *parallel) describe(rec *storage.Record) {
	rec.Finishing, rec.Parts = p.uncertain || p.final != nil, p.list.stored()
}

// transitions returns the row of the table for the current state.
func (p *parallel) transitions() (work func(context.Context) outcome, to []State) {
	switch p.state {
	case StateCreating:
		return p.create, []State{StateReady}
	case StateReady:
		return p.choose, []State{StateSending, StateConcatenating, StateFinishing}
	case StateSending:
		return p.send, []State{StateReady}
	case StateRecovering:
		return func(context.Context) outcome { return outcome{next: StateReady} }, []State{StateReady}
	case StateConcatenating:
		return p.concatenate, []State{StateReady, StateRecovering}
	case StateFinishing:
		return p.finish, []State{StateComplete}
	}
	return func(context.Context) outcome { return outcome{next: p.state} }, nil
}

func (p *parallel) step(ctx context.Context) outcome { return p.machine.step(ctx, p.transitions) }

// finish is the step of StateFinishing. The upload is complete whatever becomes of the
// parts.
func (p *parallel) finish(ctx context.Context) outcome {
	if ctx.Err() != nil {
		return outcome{next: StatePaused, err: async.ContextError(ctx)}
	}
	if err := p.source.verify(ctx); err != nil {
		return p.failed(ctx, err)
	}
	if p.opts.ParallelOptions.TerminateParts {
		for _, at := range p.list.urls() {
			if ctx.Err() == nil {
				_ = p.terminate(ctx, at)
			}
		}
	}
	return outcome{next: StateComplete}
}

// failed decides what follows a failure.
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

// create creates every part, and stores them all before the first byte. How many parts
// there can be, if there are many, is known when the first one has a URL.
func (p *parallel) create(ctx context.Context) outcome {
	var err, tooLong error
	list := p.list
	if int64(len(list))*longURL > p.opts.maxConcatLine() {
		err = p.createEach(ctx, list[:1])
		tooLong = p.fit() // also if ctx ended meanwhile: a later session uses these parts
		list = p.list[1:]
	}
	if err == nil && tooLong == nil {
		err = p.createEach(ctx, list)
		tooLong = p.checkConcatLine()
	}
	if tooLong != nil {
		return p.giveUp(ctx, tooLong)
	}
	if p.exists() { // a later session can use those that exist
		if saved := p.owner.save(ctx); err == nil && saved != nil {
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

// createEach creates parts: the POST of each is transfer.create. The caller stores them.
func (p *parallel) createEach(ctx context.Context, list parts) error {
	return p.each(ctx, list, func(ctx context.Context, part *part) error {
		return p.run(ctx, part, func() bool { return part.exists() }, false)
	})
}

// fit cuts the source into fewer parts if the URL of the first one is so long that those
// of all do not fit the Upload-Concat header.
func (p *parallel) fit() error {
	first := p.list[0]
	at := first.account().url
	if at == nil {
		return nil
	}
	most := mostParts(p.opts.maxConcatLine(), at)
	if p.opts.ParallelOptions.PartBoundaries == nil && most < int64(len(p.list)) {
		p.list = parts{first}
		for _, s := range cutAfter(first.span, p.source.info.Size, max(most, 2), p.opts.ParallelOptions.MinPartSize)[1:] {
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

// giveUp deletes parts that have no bytes yet and cannot become a final upload.
func (p *parallel) giveUp(ctx context.Context, reason error) outcome {
	for _, at := range p.list.urls() {
		if ctx.Err() == nil {
			_ = p.terminate(ctx, at)
		}
	}
	p.list = nil
	if p.opts.ParallelOptions.Required {
		return outcome{next: StateFailed, err: reason, lost: true}
	}
	return outcome{next: StateCreating, lost: true, single: true}
}

// send sends every part to its end. Each retries by the client's policy.
func (p *parallel) send(ctx context.Context) outcome {
	err := p.each(ctx, p.list, func(ctx context.Context, part *part) error {
		return p.run(ctx, part, func() bool { return part.state == StateComplete }, true)
	})
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

// each works on as many parts of a list at the same time as there are connections. The
// first that fails, or panics, ends the others.
func (p *parallel) each(ctx context.Context, list parts, work func(context.Context, *part) error) error {
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
			panics.Run(func() { err = work(ctx, part) })
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

// run drives a part until it is done. A part that is created is stored before its first
// byte if store is set; otherwise it is for the caller.
func (p *parallel) run(ctx context.Context, part *part, done func() bool, store bool) error {
	defer func() {
		if part.state == StateComplete {
			part.close()
		} else {
			part.rest()
		}
	}()
	exhausted, err := part.retries.repeat(ctx, part.requester, func() (bool, error) {
		if done() {
			return true, nil
		}
		o := part.step(ctx)
		if err := p.report(ctx, part, &o, store); err != nil {
			return true, err
		}
		if contended(o.err) && o.next != StateFailed && ctx.Err() == nil {
			if err := p.owner.confirm(ctx); err != nil {
				return true, err
			}
		}
		return o.next == StatePaused || o.next == StateFailed, o.err
	})
	if exhausted { // if the upload is paused as well, the part gets another chance
		part.retries.reset(part.account().offset)
	}
	return err
}

// errURLTaken is a part that was given the URL of another.
var errURLTaken = fmt.Errorf("%w: two parts were given the URL", ErrProtocol)

// report stores and reports what a step of a part led to.
func (p *parallel) report(ctx context.Context, part *part, o *outcome, store bool) error {
	if o.patched != nil {
		p.saving.Lock()
		p.lastPatch = o.patched
		p.saving.Unlock()
	}
	if o.lost {
		p.warn(ctx, p.source.info.Name, fmt.Sprintf("tus starting over: part at offset %d: %v", part.offset, o.err))
		p.owner.changed()
	}
	if o.created == nil {
		return nil
	}
	made := o.created
	err := p.accept(ctx, part, made.url, store)
	if errors.Is(err, errURLTaken) && !part.repeated {
		// The response was that to the creation of another part, sent once more by
		// something in between, which it may not do again.
		part.repeated = true
		p.client.CloseIdleConnections()
		o.next, o.err = StateCreating, err
		return nil
	}
	if !errors.Is(err, errURLTaken) { // a hook may panic, so the part is stored before
		p.hooks.created(made.exported())
	}
	p.owner.changed()
	return err
}

// accept stores the URL of a part, if store is set. Two parts with one URL, as a proxy
// that responds twice would make, would end in other bytes than the source's.
func (p *parallel) accept(ctx context.Context, part *part, at *url.URL, store bool) error {
	p.saving.Lock()
	defer p.saving.Unlock()
	if p.list.has(at, part) {
		part.uncreate()
		return fmt.Errorf("%w %s", errURLTaken, p.client.redactor.URL(at))
	}
	if !store {
		return nil
	}
	return p.owner.save(ctx)
}

// recheck makes the parts ask the server what it has of them.
func (p *parallel) recheck() {
	for _, part := range p.list {
		old, counters := part.account(), part.counters
		part.transfer = p.newPart(part.span).transfer
		part.counters = counters
		part.learn(func(a *account) { a.url, a.expires = old.url, old.expires })
		part.enter(StateRecovering)
		// Parts that vanished after a lost response were probably concatenated.
		part.plan.recreates = !p.uncertain
	}
	p.owner.changed()
}

func (p *parallel) rest() {
	p.source.rest()
	for _, part := range p.list {
		part.rest()
	}
}

func (p *parallel) close() {
	p.source.close()
	for _, part := range p.list {
		part.close()
	}
}

// resumeParts returns the parallel upload that an earlier session began, in its own parts.
func (p *parallel) resumeParts(c *found) error {
	p.uncertain = c.rec.Finishing && c.rec.UploadURL == ""
	if p.source.info.Sequential {
		p.connections = 1
	}
	if c.rec.UploadURL != "" {
		at, err := parseURL("stored upload URL", c.rec.UploadURL)
		if err != nil {
			return err
		}
		p.final, p.done = at, c.info.Complete()
	}
	for i, stored := range c.rec.Parts {
		part := p.newPart(span{stored.Offset, stored.Size})
		p.list = append(p.list, part)
		offset := stored.Size // a final upload was made of complete parts
		if p.final == nil {
			offset = 0
			if c.parts != nil {
				offset = c.parts[i]
			}
		}
		if stored.UploadURL == "" {
			continue
		}
		at, err := parseURL("stored upload URL", stored.UploadURL)
		if err != nil {
			return err
		}
		part.learn(func(a *account) { a.url, a.offset = at, offset })
		part.counters.resumeAt(offset)
		part.counters.begin(offset)
		part.enter(StateReady)
	}
	if !p.done && p.account().offset < p.source.info.Size { // bytes are to be sent that must become a final upload
		if err := p.checkConcatLine(); err != nil {
			return fmt.Errorf("%w: the parts of the stored upload stay as they are", err)
		}
	}
	p.enter(StateReady)
	return nil
}
