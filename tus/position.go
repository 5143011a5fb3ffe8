package tus

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"time"
)

// position is the place of a part in its parallel upload. A nil *position is
// an upload of its own.
type position struct {
	whole *Uploader
	part  *part
}

// moved takes over what the server acknowledged of the part.
func (p *position) moved(change, gain int64) {
	if p == nil || change == 0 && gain == 0 {
		return
	}
	u := p.whole
	u.mu.Lock()
	u.offset += change
	u.highest += gain
	u.mu.Unlock()
	u.reportProgress()
}

// answered takes over what the server said to a PATCH of the part.
func (p *position) answered(resp *Response, expires time.Time) {
	if p == nil {
		return
	}
	u := p.whole
	u.mu.Lock()
	u.lastPatch = resp
	u.mu.Unlock()
	p.expires(expires)
}

// expires takes over when the server forgets the part. The first part that is
// gone ends the use of the record.
func (p *position) expires(at time.Time) {
	if p == nil {
		return
	}
	p.part.mu.Lock()
	if !at.IsZero() {
		p.part.expires = at
	}
	p.part.mu.Unlock()
	first := p.whole.parts.firstExpiry()
	p.whole.expiresAt(first)
}

// errURLTaken is a part that was given the URL of another.
var errURLTaken = fmt.Errorf("%w: two parts were given the URL", ErrProtocol)

// created takes over the URL of the part, and stores it before the first byte.
// Two parts with one URL, as a proxy that answers twice would make, would end in
// other bytes than the source's.
func (p *position) created(ctx context.Context, at *url.URL) error {
	u := p.whole
	u.parts.saving.Lock()
	defer u.parts.saving.Unlock()
	if u.parts.has(at) {
		return fmt.Errorf("%w %s", errURLTaken, u.client.redactor.URL(at))
	}
	p.part.locate(at)
	if u.parts.creating {
		return nil
	}
	// The part exists, so it is stored even if ctx has ended meanwhile.
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	return u.saveParts(ctx)
}

// section is the range of a source that one part sends.
type section struct {
	source Source
	whole  SourceInfo
	span   span
}

func (s section) Stat(ctx context.Context) (SourceInfo, error) {
	info, err := s.source.Stat(ctx)
	if err != nil {
		return SourceInfo{}, err
	}
	if err := s.whole.changed(info); err != nil {
		return SourceInfo{}, err
	}
	return s.info(), nil
}

func (s section) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	return s.source.Open(ctx, s.span.offset+offset)
}

func (s section) info() SourceInfo {
	info := s.whole
	info.Size = s.span.size
	return info
}
