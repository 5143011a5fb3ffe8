package tus

import "github.com/seed-175555ba/tus-go/storage"

const (
	// defaultMinPartSize is the minimum part size of S3. Servers that store in S3 buffer
	// smaller parts.
	defaultMinPartSize = 5 << 20
	// largePartSize is the size above which parts are cut further, so that one slow
	// connection does not delay the end.
	largePartSize = 64 << 20
	// maxPlannedParts limits the parts of large sources, unless there are more connections.
	maxPlannedParts = 32
	// partAlignment aligns parts to pages, and to the multiples that some services require.
	partAlignment = 256 << 10
)

// span is a range of the source in bytes.
type span struct{ offset, size int64 }

// planSpans cuts size bytes into one part per connection, or more if the parts are large.
// No part but the last is smaller than least.
func planSpans(size int64, connections int, least int64) []span {
	count := int64(connections)
	return cutSpans(size, max(count, min(size/largePartSize, 4*count, maxPlannedParts)), least)
}

// cutSpans cuts size bytes into at most count parts of about the same size. No part but the
// last is smaller than least.
func cutSpans(size, count, least int64) []span {
	if least <= 0 {
		least = defaultMinPartSize
	}
	each := max(size/count, least)
	if size%count != 0 && each < size {
		each++
	}
	if excess := each % partAlignment; excess != 0 && each > partAlignment {
		// The last part may have any size, also if it is the only one.
		each += min(partAlignment-excess, max(0, size-each))
	}
	var spans []span
	for left := size; left > 0; {
		n := min(each, left)
		spans = append(spans, span{size - left, n})
		left -= n
	}
	return spans
}

// spansAt cuts size bytes at boundaries.
func spansAt(size int64, boundaries []int64) []span {
	var spans []span
	offset := int64(0)
	for _, b := range boundaries {
		spans = append(spans, span{offset, b - offset})
		offset = b
	}
	return append(spans, span{offset, size - offset})
}

// tile reports whether the parts of a stored upload cover it without gap or overlap, and
// have different URLs. A part may lack a URL only if there is no final upload.
func tile(rec storage.Record) bool {
	end, seen := int64(0), map[string]bool{rec.UploadURL: true}
	for _, p := range rec.Parts {
		if p.Offset != end || p.Size <= 0 || p.Size > rec.Size-end {
			return false
		}
		end += p.Size
		switch {
		case p.UploadURL == "" && rec.UploadURL == "":
		case seen[p.UploadURL], p.UploadURL == "":
			return false
		}
		seen[p.UploadURL] = true
	}
	return end == rec.Size
}
