package tus

import (
	"net/url"

	"github.com/seed-175555ba/tus-go/storage"
)

// part is a partial upload.
type part struct {
	span
	*transfer
	repeated bool // created again, because it had the URL of another part
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

// has reports whether a part other than this one has the URL at.
func (ps parts) has(at *url.URL, this *part) bool {
	for _, p := range ps {
		if u := p.account().url; p != this && u != nil && u.String() == at.String() {
			return true
		}
	}
	return false
}

// complete reports whether every part is complete.
func (ps parts) complete() bool {
	for _, p := range ps {
		if p.state != StateComplete {
			return false
		}
	}
	return true
}

// account returns the sum of the parts. Its expiry is the earliest of the parts that are
// not complete.
func (ps parts) account() (sum account) {
	for _, p := range ps {
		a := p.account()
		sum.offset += a.offset
		sum.sent += a.sent
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
// upload. A part without a URL counts as much as the longest URL.
func (ps parts) concatLine() int64 {
	var longest, total int64
	urls := ps.urls()
	for _, at := range urls {
		n := int64(len(at.String()))
		longest, total = max(longest, n), total+n
	}
	return concatLine(int64(len(ps)), total+longest*int64(len(ps)-len(urls)))
}

// newPart returns a part that is not created yet.
func (p *parallel) newPart(s span) *part {
	counters := &counters{parent: p.counters, onMoved: p.counters.onMoved}
	section := section{p.source.source, p.source.info, s}
	sizer := *p.source.sizer
	t := &transfer{
		requester: requester{client: p.client, hooks: p.hooks, counters: counters},
		plan:      plan{metadata: p.opts.ParallelOptions.PartMetadata, partial: true, recreates: true, minChunk: p.opts.MinChunkSize},
		sizer:     &sizer, sums: p.sums.ofPart(),
		chunks:  &ranged{source: section, info: section.info(), sizer: &sizer, limit: p.opts.RateLimit, timeout: p.client.opts.SourceTimeout},
		changed: p.owner.changed,
		known:   account{info: section.info()},
	}
	retries := t.newRetries()
	t.machine = machine{StateCreating, &retries}
	return &part{span: s, transfer: t}
}
