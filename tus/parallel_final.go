package tus

import (
	"context"
	"errors"
	"fmt"
)

// concatenate is the step of StateConcatenating: it creates the final upload, or waits
// until one that an earlier session created is complete.
func (p *parallel) concatenate(ctx context.Context) outcome {
	if p.final != nil {
		return p.checkFinal(ctx)
	}
	if err := p.source.unchanged(ctx); err != nil {
		return p.failed(ctx, err)
	}
	if err := p.ledger.finishing(ctx); err != nil {
		return p.notRequested(ctx, err)
	}
	names, paths := p.client.partNames(p.list.urls(), p.rechecked)
	made, err := p.requester.createUpload(ctx, creation{metadata: p.opts.Metadata, final: names})
	if p.uncertain && !unsent(err) {
		p.counters.update(func(s *Stats) { s.RepeatedFinals++ })
	}
	if err == nil && p.list.has(made.url, nil) {
		err = fmt.Errorf("%w: the final upload was given the URL of a part, %s", ErrProtocol, p.redactor.URL(made.url))
		return outcome{next: StateFailed, err: err}
	}
	if err != nil {
		return p.refused(ctx, err)
	}
	if p.rechecked && !paths {
		p.client.partURLs.Store(true)
	}
	p.final, p.done = made.url, true
	return outcome{next: StateReady, created: &made, completed: true}
}

// refused returns the outcome of a request for the final upload that failed. The final
// upload may exist nevertheless.
func (p *parallel) refused(ctx context.Context, err error) outcome {
	if unsent(err) {
		return p.notRequested(ctx, err)
	}
	var e *Error
	if !errors.As(err, &e) {
		p.uncertain = p.uncertain || ctx.Err() != nil
		return p.failed(ctx, err)
	}
	responded := !outcomeUnknown(e) && (e.StatusCode == 0 || e.StatusCode > 299)
	final := responded && !e.retryable()
	switch {
	case final && e.StatusCode == 0: // an error of the caller's hook
		return p.failed(ctx, err)
	case final && ctx.Err() == nil && !p.rechecked && e.verdict.aboutParts:
		p.rechecked = true
		p.recheck()
		return outcome{next: StateRecovering}
	}
	p.uncertain = p.uncertain || !responded
	return p.unconfirmed(p.failed(ctx, err))
}

// notRequested returns the outcome if the request for the final upload was not sent.
func (p *parallel) notRequested(ctx context.Context, err error) outcome {
	p.ledger.saveLazily() // takes back the effect of finishing
	return p.failed(ctx, err)
}

// unconfirmed marks an error that ends the upload although the server has all bytes.
func (p *parallel) unconfirmed(o outcome) outcome {
	if o.next == StateFailed && !errors.Is(o.err, ErrUnconfirmed) {
		o.err = fmt.Errorf("%w: %w", ErrUnconfirmed, o.err)
	}
	return o
}

// checkFinal requests the offset of a final upload that an earlier session created. A server
// that no longer has it may have moved it away.
func (p *parallel) checkFinal(ctx context.Context) outcome {
	info, err := p.head(ctx, p.final)
	err = p.absence.note(ctx, p.requester, p.final, err, &p.retries.budget)
	if uploadGone(err) { // it was created of complete parts
		err = withCause(err, errGoneAtEnd)
	}
	if err != nil {
		return p.unconfirmed(p.failed(ctx, err))
	}
	if info = info.withLength(p.source.info.Size); !info.Complete() {
		return outcome{next: StateConcatenating, err: p.headError(p.final, info, fmt.Errorf("%w: offset %d", errStillConcatenating, info.Offset))}
	}
	p.done = true
	return outcome{next: StateReady}
}
