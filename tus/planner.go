package tus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/seed-175555ba/tus-go/tus/internal/checksums"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

// planner decides how a source is sent: it inspects the source, requests the server's
// capabilities if the decision depends on them, and makes the delivery.
type planner struct {
	requester
	opts     *UploadOptions
	external *url.URL // external upload URL; nil to create an upload, or to resume a token
	existing bool     // the upload exists, and none is created in its place
	ledger   *ledger
	retries  *retries
	sizer    *chunkSizer
	sums     *sums

	source Source
	ownKey string     // distinguishes uploads of the same source
	info   SourceInfo // of the first Stat
	chunks chunker    // of the whole source; nil before the first Stat
	stream *streamed  // chunks, if the source is read in a single pass
}

func (p *planner) stopAhead() {
	if p.chunks != nil {
		p.chunks.stopAhead()
	}
}

func (p *planner) close() {
	if p.chunks != nil {
		p.chunks.close()
	}
}

// inspect calls Stat, and reads the first chunk of a stream.
func (p *planner) inspect(ctx context.Context) error {
	info, err := statSource(ctx, p.source, p.client.opts.SourceTimeout)
	if err != nil {
		return err
	}
	if !info.SizeUnknown && info.Size < 0 {
		return fmt.Errorf("%w: source has negative size %d", ErrInvalidInput, info.Size)
	}
	info.Sequential = info.Sequential || !info.reopens()
	p.info = info
	if p.opts.Metadata == nil && info.Name != "" {
		p.opts.Metadata = Metadata{"filename": info.Name}
	}
	if info.reopens() {
		p.stopAhead()
		p.chunks = p.wholeSource()
		p.ledger.digest.setSource(p.digestSource())
	} else if err := p.beginStream(ctx, info); err != nil {
		return err
	}
	if p.opts.Parallel > 1 {
		if info.Sequential && p.opts.ParallelOptions.Required {
			return fmt.Errorf("%w: ParallelOptions.Required is set, but the source allows only one reader", ErrInvalidInput)
		}
		size := p.info.Size // also of a stream that has ended
		if b := p.opts.ParallelOptions.PartBoundaries; len(b) > 0 && !p.info.SizeUnknown && b[len(b)-1] >= size {
			return fmt.Errorf("%w: ParallelOptions.PartBoundaries: offset %d is not inside the source of %d bytes", ErrInvalidInput, b[len(b)-1], size)
		}
	}
	return nil
}

// describe adds the source to the status.
func (p *planner) describe(s *status) {
	s.info, s.source, s.metadata = p.info, p.source, p.opts.Metadata
}

// beginStream reads the first chunk of a source that is read in a single pass. If the stream
// ends there, its bytes replace it.
func (p *planner) beginStream(ctx context.Context, info SourceInfo) error {
	if p.stream == nil {
		// The reader stays open across pauses.
		reader, err := openSource(ctx, context.WithoutCancel(ctx), p.source, 0, p.client.opts.SourceTimeout)
		if err != nil {
			return sourceError(err)
		}
		p.ledger.digest.setSource(digestSource{info: info})
		reader = p.ledger.digest.tee(reader)
		size := p.opts.ChunkSize
		if size == 0 {
			size = defaultStreamChunk
		}
		if !info.SizeUnknown {
			size = max(1, min(size, info.Size))
		}
		p.stream = &streamed{
			window: readahead.New(reader, size, defaultStreamChunk), limit: p.opts.RateLimit, sums: p.sums,
			info: info, sized: !info.SizeUnknown,
		}
		p.chunks = p.stream
	}
	if err := p.stream.begin(ctx); err != nil {
		return err
	}
	if p.stream.short() && p.external == nil {
		return p.becomeBytes(ctx, p.stream.window.Data())
	}
	return nil
}

// becomeBytes replaces a stream that was read to its end with its bytes.
func (p *planner) becomeBytes(ctx context.Context, data []byte) error {
	p.stream.close()
	p.stream = nil
	p.source = namedBytes(p.info.Name, data)
	info, err := statSource(ctx, p.source, p.client.opts.SourceTimeout)
	p.info = info
	p.chunks = p.wholeSource()
	p.ledger.digest.endsStream(p.digestSource())
	return err
}

// digestSource returns the source for a digest.
func (p *planner) digestSource() digestSource {
	source, limit := p.source, p.client.opts.SourceTimeout
	return digestSource{
		info: p.info, stamp: stampOf(source, p.info),
		open: func(ctx context.Context, offset int64) (io.ReadCloser, error) {
			return openSource(ctx, ctx, source, offset, limit)
		},
	}
}

// negotiateChecksum selects the algorithm that the options allow and the server
// advertises. For an external upload URL, which may be of another server than the endpoint,
// it requests capabilities only if UploadOptions.Checksum names an algorithm.
func (p *planner) negotiateChecksum(ctx context.Context) error {
	if p.sums.decided {
		return nil
	}
	var caps Capabilities
	var err error
	switch choice := p.opts.Checksum; {
	case choice == checksums.Off, choice == "" && (p.info.empty() || len(p.client.checksums) == 0):
		p.sums.decided = true
		return nil
	case choice != "":
		if caps, err = p.requiredCapabilities(ctx); err != nil {
			return fmt.Errorf("request checksum algorithms: %w", err)
		}
	case p.external != nil:
		caps, _ = p.client.probe.state()
	default:
		if caps, err = p.advertised(ctx); err != nil {
			return err
		}
	}
	if err := p.sums.choose(caps); err != nil {
		return err
	}
	if p.sums.on {
		p.sizer.bound(max(minChecksumChunk, p.opts.MinChunkSize), defaultChecksumChunk)
	}
	return nil
}

// negotiate returns a delivery that the server supports and the source allows.
func (p *planner) negotiate(ctx context.Context) (delivery, error) {
	var caps Capabilities
	var err error
	parts := p.wantsParts()
	if feature := p.requires(); feature != "" {
		if caps, err = p.requiredCapabilities(ctx); err != nil {
			return nil, fmt.Errorf("request extension %s: %w", feature, err)
		}
	} else if parts {
		if caps, err = p.advertised(ctx); err != nil {
			return nil, err
		}
	}
	if err := p.fits(); err != nil {
		return nil, err
	}
	if parts {
		if work, err := p.planParts(ctx, caps); work != nil || err != nil {
			return work, err
		}
	}
	if err := p.deferLength(ctx, caps); err != nil {
		return nil, err
	}
	t := p.newTransfer()
	if t.carries, err = p.inCreation(ctx); err != nil {
		return nil, err
	}
	if content := contentOf(p.source); content != nil && t.carries.whole && p.ledger.digest == nil {
		whole := p.wholeSource()
		whole.content, t.chunks = content, whole
	}
	releaseContent(p.source)
	return t, p.fits() // inCreation may have requested the capabilities
}

// fits returns an error if the source exceeds the server's limit, as far as that is known.
func (p *planner) fits() error {
	known, _ := p.client.probe.state()
	if known.MaxSize > 0 && !p.info.SizeUnknown && p.info.Size > known.MaxSize {
		return fmt.Errorf("%w: source has %d bytes, the server allows %d", ErrTooLarge, p.info.Size, known.MaxSize)
	}
	return nil
}

// inCreation returns which bytes the request that creates the upload carries.
func (p *planner) inCreation(ctx context.Context) (carried, error) {
	limit := p.opts.CreationLimit
	switch {
	case limit > 0:
	case limit == 0 && p.opts.FirstChunkInCreation && p.opts.ChunkSize > 0:
		limit = p.opts.ChunkSize
	case limit == 0:
		limit = p.client.rate.creationLimit()
	}
	if most := p.sizer.known(); most > 0 {
		limit = min(limit, most)
	}
	if p.opts.StopAt > 0 {
		limit = min(limit, p.opts.StopAt)
	}
	whole := p.info.reopens() && !p.opts.DeferLength && p.info.Size <= limit
	if p.sums.on || !whole && !p.opts.FirstChunkInCreation { // many servers ignore Upload-Checksum of a creation
		return carried{}, nil
	}
	caps, err := p.advertised(ctx)
	if err != nil || !caps.supports(extensionCreationWithUpload) {
		return carried{}, err
	}
	return carried{some: true, whole: whole, most: limit}, nil
}

// requiredCapabilities returns the capabilities of the server, or none if the response has
// no protocol header: the caller then reports the missing extension.
func (p *planner) requiredCapabilities(ctx context.Context) (Capabilities, error) {
	caps, err := p.required(ctx)
	if errors.Is(err, errNoCapabilities) {
		return Capabilities{}, nil
	}
	return caps, err
}

// requires returns an extension that the options require, or "".
func (p *planner) requires() string {
	switch {
	case p.wantsParts() && p.opts.ParallelOptions.Required:
		return extensionConcatenation
	case p.info.SizeUnknown, p.opts.DeferLength:
		return extensionCreationDeferLength
	}
	return ""
}

// deferLength checks that the server supports a deferred length if the upload needs it. If
// not, it reads a stream of at most UploadOptions.BufferLimit into memory.
func (p *planner) deferLength(ctx context.Context, caps Capabilities) error {
	if !p.info.SizeUnknown && !p.opts.DeferLength || caps.supports(extensionCreationDeferLength) {
		return nil
	}
	unsupported := fmt.Errorf("%w: extension %s, required for a deferred length", ErrUnsupported, extensionCreationDeferLength)
	if !p.info.SizeUnknown || p.opts.BufferLimit == 0 {
		return unsupported
	}
	data, err := p.stream.readAll(ctx, p.opts.BufferLimit, unsupported)
	if err != nil {
		return err
	}
	return p.becomeBytes(ctx, data)
}

// wantsParts reports whether the options request parts and the source allows them.
func (p *planner) wantsParts() bool {
	return p.opts.Parallel > 1 && !p.info.Sequential && !p.info.SizeUnknown && p.info.Size > 0
}

// planParts returns a parallel upload, or nil if the server does not support concatenation
// or the source is too small.
func (p *planner) planParts(ctx context.Context, caps Capabilities) (delivery, error) {
	if !caps.supports(extensionConcatenation) {
		if p.opts.ParallelOptions.Required {
			return nil, fmt.Errorf("%w: extension %s, required for parallel parts", ErrUnsupported, extensionConcatenation)
		}
		p.warn(ctx, p.info.Name, "tus one upload instead of parts: the server does not advertise concatenation")
		return nil, nil
	}
	size := p.info.Size
	spans := planSpans(size, p.opts.Parallel, p.opts.ParallelOptions.MinPartSize)
	if p.opts.ParallelOptions.PartBoundaries != nil {
		spans = spansAt(size, p.opts.ParallelOptions.PartBoundaries)
	}
	if len(spans) < 2 {
		return nil, nil
	}
	work := p.newParallel()
	for _, s := range spans {
		work.list = append(work.list, work.newPart(s))
	}
	return work, nil
}

// newParallel returns a parallel upload without parts.
func (p *planner) newParallel() *parallel {
	return &parallel{
		requester: p.requester, source: p.wholeSource(), opts: p.opts, sizer: p.sizer, sums: p.sums, machine: machine{StateCreating, p.retries},
		ledger: p.ledger, connections: max(1, p.opts.Parallel),
	}
}

// wholeSource returns a chunker of the whole source.
func (p *planner) wholeSource() *ranged {
	return &ranged{
		source: p.source, info: p.info, whole: true,
		limit: p.opts.RateLimit, timeout: p.client.opts.SourceTimeout, lastByte: p.ledger.finishing,
		digest: p.ledger.digest,
	}
}

// newTransfer returns a transfer of the whole source, in StateCreating.
func (p *planner) newTransfer() *transfer {
	return &transfer{
		requester: p.requester, chunks: p.chunks, sizer: p.sizer, sums: p.sums, machine: machine{StateCreating, p.retries},
		plan: plan{
			metadata: p.opts.Metadata, recreates: !p.existing, defers: p.opts.DeferLength,
			minChunk: p.opts.MinChunkSize,
		},
		stopAt: p.opts.StopAt, changed: p.ledger.changed, sending: p.ledger.sending,
		known: account{info: p.info, checksum: p.sums.algorithm.Name},
	}
}

// resumeExternal returns a transfer to the external upload URL, or nil if there is none.
func (p *planner) resumeExternal() *transfer {
	if p.external == nil {
		return nil
	}
	t := p.newTransfer()
	t.known.url, t.resuming = p.external, true
	t.enter(StateRecovering)
	return t
}
