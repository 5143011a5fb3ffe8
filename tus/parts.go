package tus

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/seed-175555ba/tus-go/storage"
)

// part is a partial upload.
type part struct {
	span
	*transfer
	repeated bool // created a second time because it had the URL of another part
}

// parts are the parts of a parallel upload, in the order of their offsets.
type parts []*part

// urls returns the URLs of the parts that exist on the server.
func (ps parts) urls() []*url.URL {
	var all []*url.URL
	for _, p := range ps {
		all = append(all, p.urls()...)
	}
	return all
}

// has reports whether a part other than this has the URL at.
func (ps parts) has(at *url.URL, this *part) bool {
	return slices.ContainsFunc(ps, func(p *part) bool {
		u := p.account().url
		return p != this && u != nil && u.String() == at.String()
	})
}

// complete reports whether every part is complete.
func (ps parts) complete() bool {
	return !slices.ContainsFunc(ps, func(p *part) bool { return p.state != StateComplete })
}

// account returns the sum of the parts. Its expiry is the earliest of the parts that are
// not complete.
func (ps parts) account() (sum account) {
	for _, p := range ps {
		a := p.account()
		sum.offset += a.offset
		sum.sent += a.sent
		sum.request = max(sum.request, a.request)
		if a.offset < p.size && !a.expires.IsZero() && (sum.expires.IsZero() || a.expires.Before(sum.expires)) {
			sum.expires = a.expires
		}
	}
	return sum
}

// stored returns the parts for a record.
func (ps parts) stored() []storage.Part {
	var all []storage.Part
	for _, p := range ps {
		stored := storage.Part{Offset: p.offset, Size: p.size}
		if at := p.account().url; at != nil {
			stored.UploadURL = at.String()
		}
		all = append(all, stored)
	}
	return all
}

// concatLine returns the length in bytes of the header line Upload-Concat of the final
// upload. A part without a URL counts like the longest URL.
func (ps parts) concatLine() int64 {
	var longest, total int64
	urls := ps.urls()
	for _, at := range urls {
		n := int64(len(at.String()))
		longest, total = max(longest, n), total+n
	}
	return concatLine(int64(len(ps)), total+longest*int64(len(ps)-len(urls)))
}

// newPart returns a part in StateCreating.
func (p *parallel) newPart(s span) *part {
	counters := &counters{parent: p.counters, onMoved: p.counters.onMoved}
	section := section{p.source.source, p.source.info, s}
	requests := p.requester
	requests.counters = counters
	t := &transfer{
		requester: requests,
		plan:      plan{metadata: p.opts.ParallelOptions.PartMetadata, partial: true, recreates: true, minChunk: p.opts.MinChunkSize},
		sizer:     p.sizer.ofPart(), sums: p.sums.ofPart(),
		chunks:  &ranged{source: section, info: section.info(), limit: p.opts.RateLimit, timeout: p.client.opts.SourceTimeout, digest: p.ledger.digest, begin: s.offset},
		changed: p.ledger.changed, sending: p.ledger.sending,
		known: account{info: section.info()},
	}
	retries := t.newRetries()
	t.machine = machine{StateCreating, &retries}
	return &part{span: s, transfer: t}
}

// resumeParts adds the parts of a stored upload.
func (p *parallel) resumeParts(c *candidate) error {
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
		part.updateAccount(func(a *account) { a.url, a.offset = at, offset })
		part.counters.resumeAt(offset)
		part.counters.begin(offset)
		part.enter(StateReady)
	}
	if !p.done && p.account().offset < p.source.info.Size { // a final upload must be created later
		if err := p.checkConcatLine(); err != nil {
			return fmt.Errorf("%w: the parts of the stored upload stay as they are", err)
		}
	}
	p.enter(StateReady)
	return nil
}
