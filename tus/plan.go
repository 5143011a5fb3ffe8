package tus

import "github.com/seed-175555ba/tus-go/storage"

const (
	// defaultMinPartSize is the least part that S3 accepts; servers that store
	// there keep smaller ones aside.
	defaultMinPartSize = 5 << 20
	// largePartSize is from where on parts are worth cutting further, so that a
	// slow connection does not hold up the end.
	largePartSize = 64 << 20
	// maxPlannedParts is how many parts large sources are cut into where the
	// connections do not ask for more.
	maxPlannedParts = 32
	// partAlignment keeps the borders of parts on pages and on the multiples that
	// services ask for.
	partAlignment = 256 << 10
)

// span is a range of the source in bytes.
type span struct{ offset, size int64 }

// planSpans cuts size bytes for a number of connections: one part for each, or
// more where the parts are large, but none (except the last) smaller than
// least.
func planSpans(size int64, connections int, least int64) []span {
	count := int64(connections)
	if large := size / largePartSize; large > count {
		count = max(count, min(large, 4*count, maxPlannedParts))
	}
	return cutSpans(size, count, least)
}

// cutSpans cuts size bytes into at most count parts of about the same size, but none
// (except the last) smaller than least.
func cutSpans(size, count, least int64) []span {
	if least <= 0 {
		least = defaultMinPartSize
	}
	each := max(size/count, least)
	if size%count != 0 && each < size {
		each++
	}
	if rest := each % partAlignment; rest != 0 && each > partAlignment {
		// The last part may be of any size, and so may an only one.
		each += min(partAlignment-rest, max(0, size-each))
	}
	var spans []span
	for left := size; left > 0; {
		n := min(each, left)
		spans = append(spans, span{size - left, n})
		left -= n
	}
	return spans
}

// cutAfter cuts what follows the first span of a source into at most count-1 parts.
func cutAfter(first span, size, count, least int64) []span {
	spans := cutSpans(size-first.size, count-1, least)
	for i := range spans {
		spans[i].offset += first.size
	}
	return append([]span{first}, spans...)
}

// spansAt cuts size bytes at the caller's boundaries, which lie within.
func spansAt(size int64, boundaries []int64) []span {
	var spans []span
	offset := int64(0)
	for _, b := range boundaries {
		spans = append(spans, span{offset, b - offset})
		offset = b
	}
	return append(spans, span{offset, size - offset})
}

// tile reports whether the parts of a stored upload are all its bytes without a hole or
// an overlap, and each is an upload of its own. A final upload has all parts.
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
