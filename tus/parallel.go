package tus

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-175555ba/tus-go/storage"
)

// parts is a parallel upload: partial uploads, and the final upload that the
// server makes of them (protocol section Concatenation). Each part is sent by
// an Uploader of its own.
type parts struct {
	list        []*part
	connections int
	saving      sync.Mutex // parts are stored one at a time
	creating    bool       // the URLs of the parts are stored all at once, when all are there
	rechecked   bool       // the final upload was refused, and the server asked whether it has all parts
	uncertain   bool       // the response to the creation of the final upload was lost
	confirmed   bool       // the final upload is complete
}

type part struct {
	span
	counters *counters
	uploader *Uploader

	mu      sync.Mutex
	url     *url.URL // nil until created
	expires time.Time
}

func (p *part) location() *url.URL {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.url
}

func (p *part) locate(u *url.URL) {
	p.mu.Lock()
	p.url = u
	p.mu.Unlock()
}

func (p *part) complete() bool { return p.uploader.State() == StateComplete }

// urls of the parts that exist. A nil *parts has none.
func (ps *parts) urls() []*url.URL {
	if ps == nil {
		return nil
	}
	var all []*url.URL
	for _, p := range ps.list {
		if u := p.location(); u != nil {
			all = append(all, u)
		}
	}
	return all
}

// has reports whether a URL is that of a part.
func (ps *parts) has(at *url.URL) bool {
	for _, u := range ps.urls() {
		if u.String() == at.String() {
			return true
		}
	}
	return false
}

// begun reports whether anything exists on the server.
func (ps *parts) begun() bool { return len(ps.urls()) > 0 }

// complete reports whether the server has every part whole.
func (ps *parts) complete() bool {
	for _, p := range ps.list {
		if !p.complete() {
			return false
		}
	}
	return true
}

// sent is the number of bytes that left, confirmed or not.
func (ps *parts) sent() int64 {
	var n int64
	for _, p := range ps.list {
		n += max(p.counters.sentUpTo(), p.uploader.Offset())
	}
	return n
}

// firstExpiry is when the server forgets the first of the parts that are not
// complete; zero if it did not say.
func (ps *parts) firstExpiry() time.Time {
	var first time.Time
	for _, p := range ps.list {
		if p.uploader.Offset() == p.size {
			continue
		}
		p.mu.Lock()
		at := p.expires
		p.mu.Unlock()
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// wantsParts reports whether the upload is to be sent in parts, if it can.
func (u *Uploader) wantsParts() bool {
	return u.opts.Parallel > 1 && u.position == nil && !u.info.Sequential && !u.info.SizeUnknown && u.info.Size > 0
}

// planParts cuts the source, if the server offers concatenation and the source
// is large enough.
func (u *Uploader) planParts(caps Capabilities) error {
	if !caps.Supports(ExtensionConcatenation) {
		if u.opts.ParallelBestEffort {
			return nil
		}
		return fmt.Errorf("%w: %s, which parallel parts need", ErrUnsupported, ExtensionConcatenation)
	}
	spans := planSpans(u.info.Size, u.opts.Parallel, u.opts.MinPartSize)
	if u.opts.PartBoundaries != nil {
		spans = spansAt(u.info.Size, u.opts.PartBoundaries)
	}
	if len(spans) < 2 {
		return nil
	}
	u.inline = false
	ps := &parts{connections: u.opts.Parallel}
	for _, s := range spans {
		ps.list = append(ps.list, u.newPart(ps, s))
	}
	u.setParts(ps)
	return nil
}

func (u *Uploader) setParts(ps *parts) {
	u.mu.Lock()
	u.parts = ps
	u.mu.Unlock()
}

// newPart makes a part that does not exist on the server yet.
func (u *Uploader) newPart(ps *parts, s span) *part {
	p := &part{span: s, counters: &counters{parent: u.counters, onMoved: u.reportMovement}}
	u.restartPart(ps, p)
	return p
}

// restartPart gives a part a fresh Uploader, which begins with the creation, or
// where the part is located with asking the server.
func (u *Uploader) restartPart(ps *parts, p *part) {
	opts := u.opts
	opts.Metadata = u.opts.PartMetadata
	opts.Parallel, opts.PartBoundaries, opts.Previous = 0, nil, nil
	if opts.CreationWithUpload == CreationWithUploadAuto { // else the URLs are stored first
		opts.CreationWithUpload = CreationWithUploadNever
	}
	source := section{u.source, u.info, p.span}
	child := &Uploader{
		requester: requester{client: u.client, hooks: u.hooks.ofPart(), counters: p.counters},
		source:    source, opts: opts,
		budget: budget{policy: u.client.retry}, chunks: u.chunks,
		sums:     sums{decided: true, on: u.sums.on, algorithm: u.sums.algorithm, trailer: u.sums.trailer},
		position: &position{u, p},
		turn:     make(chan struct{}, 1),
	}
	child.info, child.prepared = source.info(), true
	child.inline = child.mayCarry()
	if at := p.location(); at != nil {
		child.url, child.state = at, StateRecovering
	}
	child.turn <- struct{}{}
	if old := p.uploader; old != nil {
		child.highest = old.highest
		child.position.moved(-old.Offset(), 0)
	}
	p.uploader = child
}

// restartFailedParts gives parts another chance that failed when the upload was
// paused.
func (u *Uploader) restartFailedParts() {
	for _, p := range u.parts.list {
		if p.uploader.State() == StateFailed {
			u.restartPart(u.parts, p)
		}
	}
}

// adoptParts goes on with the parts of a stored upload, in its own cut.
func (u *Uploader) adoptParts(c *candidate) error {
	ps := &parts{connections: max(1, u.opts.Parallel), uncertain: c.rec.Finishing && c.rec.UploadURL == ""}
	if u.info.Sequential {
		ps.connections = 1
	}
	ps.confirmed = c.rec.UploadURL != "" && c.info.Complete()
	for i, stored := range c.rec.Parts {
		p := u.newPart(ps, span{stored.Offset, stored.Size})
		ps.list = append(ps.list, p)
		if stored.UploadURL == "" {
			continue
		}
		at, err := parseURL("stored upload URL", stored.UploadURL)
		if err != nil {
			return err
		}
		p.locate(at)
		u.restartPart(ps, p)
		if c.rec.UploadURL == "" {
			p.uploader.state = StateReady
			p.uploader.offset, p.uploader.highest = c.parts[i], c.parts[i]
			p.counters.begin(c.parts[i])
		}
	}
	u.setParts(ps)
	if !ps.confirmed && c.offset < u.info.Size { // bytes are to be sent that must become a final upload
		if err := u.checkConcatLine(); err != nil {
			return fmt.Errorf("%w: the parts of the stored upload stay as they are", err)
		}
	}
	u.resumedAt(c.offset)
	return u.acknowledge(c.offset)
}

// chooseParts is what a parallel upload does in StateReady.
func (u *Uploader) chooseParts() State {
	ps := u.parts
	switch {
	case ps.confirmed:
		return StateFinishing
	case u.created():
		return StateConcatenating
	case !ps.complete():
		return StateSending
	}
	return StateConcatenating
}

// createParts creates every part, and stores them all before the first byte. How many
// parts there can be, if there are many, is known when the first one has a URL.
func (u *Uploader) createParts(ctx context.Context) (State, error) {
	var err, tooLong error
	list := u.parts.list
	if int64(len(list))*longURL > u.opts.maxConcatLine() {
		err = u.createEachPart(ctx, list[:1])
		tooLong = u.fitParts() // also if ctx ended meanwhile: a later session uses this cut
		list = u.parts.list[1:]
	}
	if err == nil && tooLong == nil {
		err = u.createEachPart(ctx, list)
		tooLong = u.checkConcatLine()
	}
	if tooLong != nil {
		return u.giveUpParts(ctx, tooLong)
	}
	if u.parts.begun() { // a later session can use those that exist
		saving, cancel := uncancelled(ctx)
		defer cancel()
		if saved := u.saveParts(saving); err == nil && saved != nil {
			return u.after(ctx, StateCreating, saved), saved
		}
	}
	switch {
	case err == nil:
		return StateReady, nil
	case ctx.Err() != nil:
		return StatePaused, contextError(ctx)
	}
	return StateFailed, err
}

func (u *Uploader) createEachPart(ctx context.Context, list []*part) error {
	u.parts.creating = u.opts.CreationWithUpload != CreationWithUploadAlways // whose bytes may be many
	defer func() { u.parts.creating = false }()
	return u.eachPart(ctx, list, func(ctx context.Context, child *Uploader) error {
		return child.runUntil(ctx, func() bool { return child.created() })
	})
}

// fitParts cuts the source into fewer parts if the URL of the first one is so long that
// those of all do not fit the Upload-Concat header.
func (u *Uploader) fitParts() error {
	ps := u.parts
	first := ps.list[0]
	at := first.location()
	if at == nil {
		return nil
	}
	most := mostParts(u.opts.maxConcatLine(), at)
	if u.opts.PartBoundaries == nil && most < int64(len(ps.list)) {
		ps.list = []*part{first}
		for _, s := range cutAfter(first.span, u.info.Size, max(most, 2), u.opts.MinPartSize)[1:] {
			ps.list = append(ps.list, u.newPart(ps, s))
		}
	}
	return u.checkConcatLine()
}

// checkConcatLine returns an error if the final upload could not be created of the parts.
func (u *Uploader) checkConcatLine() error {
	line, limit := u.parts.concatLine(), u.opts.maxConcatLine()
	if line <= limit {
		return nil
	}
	return fmt.Errorf("%w: UploadOptions.MaxConcatHeader is %d, but %s with the URLs of %d parts has %d bytes",
		ErrInvalidInput, limit, headerUploadConcat, len(u.parts.list), line)
}

// giveUpParts deletes parts that have no bytes yet and cannot become a final upload.
func (u *Uploader) giveUpParts(ctx context.Context, reason error) (State, error) {
	for _, at := range u.parts.urls() {
		if ctx.Err() == nil {
			_ = u.requester.terminate(ctx, at)
		}
	}
	u.record.drop(ctx) // a part with bytes of its creation was stored at once
	u.setParts(nil)
	if u.opts.ParallelBestEffort {
		return StateCreating, nil
	}
	return StateFailed, reason
}

// sendParts sends every part to its end. Each retries by the client's policy.
func (u *Uploader) sendParts(ctx context.Context) (State, error) {
	err := u.eachPart(ctx, u.parts.list, func(ctx context.Context, child *Uploader) error {
		_, err := child.Run(ctx)
		return err
	})
	switch {
	case err == nil:
		if err := u.budget.acknowledged(u.Offset(), 0, 0); err != nil {
			return StateFailed, err
		}
		return StateReady, nil
	case ctx.Err() != nil:
		return StatePaused, contextError(ctx)
	case uploadGone(err) && u.parts.uncertain:
		err = fmt.Errorf("%w: an answer was lost, and now the parts are gone: %w", ErrUnconfirmed, err)
	}
	return StateFailed, err
}

// eachPart lets as many parts of a list work at the same time as there are connections.
// The first that fails, or panics, ends the others.
func (u *Uploader) eachPart(ctx context.Context, list []*part, work func(context.Context, *Uploader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	panics := carrier{stop: func() { cancel(errPanicked) }}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(u.parts.connections)
	for _, p := range list {
		group.Go(func() error {
			if ctx.Err() != nil {
				return contextError(ctx)
			}
			var err error
			panics.run(func() { err = work(ctx, p.uploader) })
			if err != nil {
				return fmt.Errorf("part at offset %d: %w", p.offset, err)
			}
			return nil
		})
	}
	err := group.Wait()
	panics.deliver()
	return err
}

// saveParts stores the parts as they are now.
func (u *Uploader) saveParts(ctx context.Context) error {
	target := u.URL()
	return u.record.save(ctx, func(rec *storage.Record) {
		rec.UploadURL = target
		rec.Expires = u.parts.firstExpiry()
		rec.Finishing = u.parts.uncertain
		rec.Parts = nil
		for _, p := range u.parts.list {
			stored := storage.Part{Offset: p.offset, Size: p.size}
			if at := p.location(); at != nil {
				stored.UploadURL = at.String()
			}
			rec.Parts = append(rec.Parts, stored)
		}
	})
}

// terminateParts deletes the parts of a complete upload, if the caller wants
// that. The upload is complete whatever becomes of them.
func (u *Uploader) terminateParts(ctx context.Context) {
	if !u.opts.TerminateParts || u.parts == nil {
		return
	}
	for _, at := range u.parts.urls() {
		if ctx.Err() != nil {
			return
		}
		_ = u.requester.terminate(ctx, at)
	}
}
