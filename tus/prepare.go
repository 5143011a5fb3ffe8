package tus

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-175555ba/tus-go/tus/internal/checksums"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

// prepare is the step of StateIdle. It looks at the source, and asks the server
// for its capabilities only where the answer changes what is sent.
func (u *Uploader) prepare(ctx context.Context) (State, error) {
	if err := u.inspect(ctx); err != nil {
		return u.failed(ctx, err)
	}
	if err := u.negotiateChecksum(ctx); err != nil {
		return u.failed(ctx, err)
	}
	if u.external {
		u.resumeExternal()
		return StateRecovering, nil
	}
	if u.keeper.enabled() && !u.located {
		candidates, err := u.lookup(ctx)
		if err != nil {
			return u.failed(ctx, err)
		}
		u.located = true
		if u.candidates = candidates; len(candidates) > 0 {
			return StateLocating, nil
		}
	}
	work, err := u.negotiate(ctx)
	if err != nil {
		return u.failed(ctx, err)
	}
	u.begin(work)
	u.startingOver()
	return StateCreating, nil
}

// begin lets a delivery bring the bytes to the server.
func (u *Uploader) begin(work delivery) {
	u.progress.turn.Lock()
	defer u.progress.turn.Unlock()
	u.work = work
}

// inspect looks at the source, or reads the first chunk of a stream.
func (u *Uploader) inspect(ctx context.Context) error {
	info, err := statSource(ctx, u.source, u.client.sourceTimeout)
	if err != nil {
		return err
	}
	if !info.SizeUnknown && info.Size < 0 {
		return fmt.Errorf("%w: source of %d bytes", ErrInvalidInput, info.Size)
	}
	u.learn(func(s *status) { s.info = info })
	if u.opts.Metadata == nil && info.Name != "" {
		u.opts.Metadata = Metadata{"filename": info.Name}
	}
	if info.SizeUnknown {
		if err := u.beginStream(ctx, info); err != nil {
			return err
		}
		info = u.status().info
	}
	if u.opts.Parallel > 1 {
		if info.Sequential && !u.opts.ParallelBestEffort {
			return fmt.Errorf("%w: parallel parts of a source that has only one reader", ErrInvalidInput)
		}
		if b := u.opts.PartBoundaries; len(b) > 0 && !info.SizeUnknown && b[len(b)-1] >= info.Size {
			return fmt.Errorf("%w: part boundary at %d in a source of %d bytes", ErrInvalidInput, b[len(b)-1], info.Size)
		}
	}
	return nil
}

// beginStream reads the first chunk of a source of unknown size. If that is
// all, the source is an ordinary one.
func (u *Uploader) beginStream(ctx context.Context, info SourceInfo) error {
	if u.stream == nil {
		// The reader lives as long as the upload, over pauses.
		reader, err := openSource(ctx, context.WithoutCancel(ctx), u.source, 0, u.client.sourceTimeout)
		if err != nil {
			return sourceError(err)
		}
		size := u.sizer.size
		if size == 0 {
			size = defaultStreamChunk
		}
		u.stream = &streamed{window: readahead.New(reader, size, defaultStreamChunk), sizer: u.sizer, limit: u.opts.RateLimit, sums: u.sums, info: info}
	}
	if err := u.stream.begin(ctx); err != nil {
		return err
	}
	if u.stream.short() && !u.external {
		return u.becomeBytes(ctx, u.stream.window.Data())
	}
	return nil
}

// becomeBytes replaces a stream that was read to its end by its bytes.
func (u *Uploader) becomeBytes(ctx context.Context, data []byte) error {
	u.stream.close()
	u.stream = nil
	u.source = Bytes(data)
	info, err := statSource(ctx, u.source, u.client.sourceTimeout)
	u.learn(func(s *status) { info.Name, s.info = s.info.Name, info })
	return err
}

// negotiateChecksum chooses the algorithm by what the caller wants and the
// server advertises. An upload URL that the caller gave may be of another server
// than the endpoint, so the endpoint is not asked for it unless the caller insists.
func (u *Uploader) negotiateChecksum(ctx context.Context) error {
	if u.sums.decided {
		return nil
	}
	info := u.status().info
	var caps Capabilities
	var err error
	switch choice, empty := u.opts.Checksum, !info.SizeUnknown && info.Size == 0; {
	case choice == checksums.Off, choice == "" && (empty || len(u.client.checksums) == 0):
		u.sums.off()
		return nil
	case choice != "":
		if caps, err = u.requiredCapabilities(ctx); err != nil {
			return fmt.Errorf("asking for checksum algorithms: %w", err)
		}
	case u.external:
		caps, _ = u.client.probe.state()
	default:
		if caps, err = u.advertised(ctx); err != nil {
			return err
		}
	}
	if err := u.sums.choose(caps); err != nil {
		return err
	}
	if u.sums.on {
		u.sizer.bound(max(minChecksumChunk, u.opts.MinChunkSize), defaultChecksumChunk)
	}
	return nil
}

// negotiate decides how the upload is sent, by what the server offers and the
// source allows.
func (u *Uploader) negotiate(ctx context.Context) (delivery, error) {
	var caps Capabilities
	var err error
	parts := u.wantsParts()
	if feature := u.requires(); feature != "" {
		if caps, err = u.requiredCapabilities(ctx); err != nil {
			return nil, fmt.Errorf("asking for extension %s: %w", feature, err)
		}
	} else if parts {
		if caps, err = u.advertised(ctx); err != nil {
			return nil, err
		}
	}
	inline, err := u.carries(ctx)
	if err != nil {
		return nil, err
	}
	known, _ := u.client.probe.state()
	if info := u.status().info; known.MaxSize > 0 && !info.SizeUnknown && info.Size > known.MaxSize {
		return nil, fmt.Errorf("%w: source has %d bytes, the server allows %d", ErrTooLarge, info.Size, known.MaxSize)
	}
	if parts {
		if p, err := u.planParts(caps); p != nil || err != nil {
			return p, err
		}
	}
	if err := u.deferLength(ctx, caps); err != nil {
		return nil, err
	}
	t := u.newTransfer()
	t.inline = inline
	return t, nil
}

// carries reports whether the creation carries bytes.
func (u *Uploader) carries(ctx context.Context) (bool, error) {
	switch {
	case !u.newTransfer().mayCarry():
		return false, nil
	case u.opts.CreationWithUpload != CreationWithUploadAuto:
		return true, nil
	case u.sums.on: // servers verify PATCH, and many ignore Upload-Checksum of a creation
		return false, nil
	}
	caps, err := u.advertised(ctx)
	return caps.Supports(ExtensionCreationWithUpload), err
}

// requiredCapabilities is what the server supports, nothing if it does not say: what is
// missing is then named by those who look for it.
func (u *Uploader) requiredCapabilities(ctx context.Context) (Capabilities, error) {
	caps, err := u.required(ctx)
	if errors.Is(err, ErrUnsupported) {
		return Capabilities{}, nil
	}
	return caps, err
}

// requires names an extension without which the upload cannot be sent as requested,
// empty if there is none.
func (u *Uploader) requires() Extension {
	switch {
	case u.wantsParts() && !u.opts.ParallelBestEffort:
		return ExtensionConcatenation
	case u.status().info.SizeUnknown, u.opts.DeferLength:
		return ExtensionCreationDeferLength
	}
	return ""
}

// deferLength makes sure that the server takes an upload without its length,
// if that is how it has to be created.
func (u *Uploader) deferLength(ctx context.Context, caps Capabilities) error {
	unknown := u.status().info.SizeUnknown
	if !unknown && !u.opts.DeferLength || caps.Supports(ExtensionCreationDeferLength) {
		return nil
	}
	unsupported := fmt.Errorf("%w: %s, which an upload of unknown length needs", ErrUnsupported, ExtensionCreationDeferLength)
	if !unknown || u.opts.BufferLimit == 0 {
		return unsupported
	}
	data, err := u.stream.readAll(ctx, u.opts.BufferLimit, unsupported)
	if err != nil {
		return err
	}
	return u.becomeBytes(ctx, data)
}

// wantsParts reports whether the upload is to be sent in parts, if it can.
func (u *Uploader) wantsParts() bool {
	info := u.status().info
	return u.opts.Parallel > 1 && !info.Sequential && !info.SizeUnknown && info.Size > 0
}

// planParts cuts the source, if the server offers concatenation and the source
// is large enough; otherwise it returns nil.
func (u *Uploader) planParts(caps Capabilities) (delivery, error) {
	if !caps.Supports(ExtensionConcatenation) {
		if u.opts.ParallelBestEffort {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: %s, which parallel parts need", ErrUnsupported, ExtensionConcatenation)
	}
	size := u.status().info.Size
	spans := planSpans(size, u.opts.Parallel, u.opts.MinPartSize)
	if u.opts.PartBoundaries != nil {
		spans = spansAt(size, u.opts.PartBoundaries)
	}
	if len(spans) < 2 {
		return nil, nil
	}
	p := u.newParallel(u.opts.Parallel)
	for _, s := range spans {
		p.list = append(p.list, p.newPart(s))
	}
	return p, nil
}

func (u *Uploader) newParallel(connections int) *parallel {
	return &parallel{
		requester: u.requester, source: u.wholeSource(), opts: &u.opts, sums: u.sums, retries: &u.retries,
		keep: u, changed: u.changed, state: StateCreating, connections: max(1, connections),
	}
}

// wholeSource cuts all of the source.
func (u *Uploader) wholeSource() *ranged {
	return &ranged{
		source: u.source, info: u.status().info, whole: true,
		sizer: u.sizer, limit: u.opts.RateLimit, timeout: u.client.sourceTimeout, lastByte: u.saveLastByte,
	}
}

// planOf returns the plan of an upload of the whole source.
func planOf(opts *UploadOptions) plan {
	p := plan{
		metadata: opts.Metadata, defers: opts.DeferLength,
		carry: opts.CreationWithUpload, limit: opts.CreationLimit, minChunk: opts.MinChunkSize,
	}
	if p.limit == 0 && p.carry == CreationWithUploadAlways {
		p.limit = opts.ChunkSize
	}
	return p
}

// newTransfer returns one of the whole source that does not exist on the server yet.
func (u *Uploader) newTransfer() *transfer {
	known := u.status()
	plan := planOf(&u.opts)
	plan.external = u.external
	t := &transfer{
		requester: u.requester, plan: plan, sizer: u.sizer, sums: u.sums, retries: &u.retries,
		state: StateCreating, stopAt: u.opts.StopAt, changed: u.changed,
		known: account{info: known.info, highest: known.highest},
	}
	if u.stream != nil {
		t.chunks = u.stream
	} else {
		t.chunks = u.wholeSource()
	}
	return t
}

// resumeExternal lets a transfer continue the upload at the URL that the caller gave.
func (u *Uploader) resumeExternal() {
	t := u.newTransfer()
	t.learn(func(a *account) { a.url = u.status().url })
	t.resuming = true
	t.enter(StateRecovering)
	u.begin(t)
}
