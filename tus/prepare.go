package tus

import (
	"context"
	"errors"
	"fmt"
)

// prepare is the step of StateIdle. It looks at the source, and asks the server
// for its capabilities only where the answer changes what is sent.
func (u *Uploader) prepare(ctx context.Context) (State, error) {
	if err := u.inspect(ctx); err != nil {
		return u.after(ctx, StateIdle, err), err
	}
	if err := u.negotiateChecksum(ctx); err != nil {
		return u.after(ctx, StateIdle, err), err
	}
	u.prepared = true
	if u.given {
		return StateRecovering, nil
	}
	if u.record != nil && !u.located {
		candidates, err := u.lookup(ctx)
		if err != nil {
			return u.after(ctx, StateIdle, err), err
		}
		u.located = true
		if u.candidates = candidates; len(candidates) > 0 {
			return StateLocating, nil
		}
	}
	if err := u.negotiate(ctx); err != nil {
		return u.after(ctx, StateIdle, err), err
	}
	u.startingOver()
	return StateCreating, nil
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
	u.mu.Lock()
	u.info = info
	u.mu.Unlock()
	if err := u.beginStream(ctx); err != nil {
		return err
	}
	if u.opts.Parallel > 1 && u.position == nil {
		if u.info.Sequential && !u.opts.ParallelBestEffort {
			return fmt.Errorf("%w: parallel parts of a source that has only one reader", ErrInvalidInput)
		}
		if b := u.opts.PartBoundaries; len(b) > 0 && !u.info.SizeUnknown && b[len(b)-1] >= u.info.Size {
			return fmt.Errorf("%w: part boundary at %d in a source of %d bytes", ErrInvalidInput, b[len(b)-1], u.info.Size)
		}
	}
	return nil
}

// negotiate decides how the upload is sent, by what the server offers and the
// source allows.
func (u *Uploader) negotiate(ctx context.Context) error {
	var caps Capabilities
	var err error
	if feature := u.requires(); feature != "" {
		if caps, err = u.required(ctx); err != nil {
			return fmt.Errorf("asking for extension %s: %w", feature, err)
		}
	} else if u.wantsParts() {
		if caps, err = u.requester.advertised(ctx); err != nil {
			return err
		}
	}
	u.inline = u.mayCarry()
	if u.opts.CreationWithUpload == CreationWithUploadAuto && u.sums.on {
		u.inline = false // servers verify PATCH, and many ignore Upload-Checksum of a creation
	}
	if u.inline && u.opts.CreationWithUpload == CreationWithUploadAuto {
		if caps, err = u.requester.advertised(ctx); err != nil {
			return err
		}
		u.inline = caps.Supports(ExtensionCreationWithUpload)
	}
	known, _ := u.client.probe.state()
	if known.MaxSize > 0 && !u.info.SizeUnknown && u.info.Size > known.MaxSize {
		return fmt.Errorf("%w: source has %d bytes, Tus-Max-Size is %d", ErrTooLarge, u.info.Size, known.MaxSize)
	}
	if u.wantsParts() {
		if err := u.planParts(caps); err != nil {
			return err
		}
	}
	return u.deferLength(ctx, caps)
}

// required is what the server supports, nothing if it does not say: what is missed is
// then named by those who look for it.
func (u *Uploader) required(ctx context.Context) (Capabilities, error) {
	caps, err := u.requester.required(ctx)
	if errors.Is(err, ErrUnsupported) {
		return Capabilities{}, nil
	}
	return caps, err
}

// requires names an extension without which the upload cannot be sent as asked,
// empty if there is none.
func (u *Uploader) requires() Extension {
	switch {
	case u.wantsParts() && !u.opts.ParallelBestEffort:
		return ExtensionConcatenation
	case u.info.SizeUnknown, u.opts.DeferLength:
		return ExtensionCreationDeferLength
	}
	return ""
}

// mayCarry reports whether bytes may go with the creation: all of the source, or, if the
// caller insists, its first ones.
func (u *Uploader) mayCarry() bool {
	if u.info.SizeUnknown || u.opts.DeferLength {
		return false
	}
	switch u.opts.CreationWithUpload {
	case CreationWithUploadAlways:
		return true
	case CreationWithUploadNever:
		return false
	}
	return u.position == nil && u.carried() == u.info.Size
}

// carried is how many bytes of the source go with a creation that carries some.
func (u *Uploader) carried() int64 {
	limit := u.opts.CreationLimit
	switch {
	case limit > 0:
	case u.opts.CreationWithUpload == CreationWithUploadAlways && u.opts.ChunkSize > 0:
		limit = u.opts.ChunkSize
	default:
		limit = u.client.rate.creationLimit()
	}
	n := min(limit, u.info.Size)
	if u.chunks.size > 0 {
		n = min(n, u.chunks.size)
	}
	if u.stopAt > 0 {
		n = min(n, u.stopAt)
	}
	return n
}
