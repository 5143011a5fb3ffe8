package tus

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// The header line of tus 1.0.0 that names the parts of a final upload.

const (
	// largeConcatLine is the length from which a refusal may be about it: the lowest limits
	// of servers are 4 KiB.
	largeConcatLine = 4 << 10
	// urlSpare is how much longer than the first the URLs of further parts may be, in
	// bytes, if IDs are counted.
	urlSpare = 16
)

// concatLine returns the length in bytes of the header line for a final upload of count
// parts whose URLs have urls bytes together.
func concatLine(count, urls int64) int64 {
	return int64(len(headerUploadConcat+": final;\r\n")) + urls + max(0, count-1)
}

// mostParts returns how many parts fit a header line of limit bytes, if the first one has
// this URL.
func mostParts(limit int64, first *url.URL) int64 {
	each := int64(len(first.String())) + urlSpare
	return max(0, limit-concatLine(0, 0)+1) / (each + 1)
}

// concatRefused adds to the cause of a refusal what to do if the header line of a final
// upload was too long. names is nil for other uploads, cause may be.
func concatRefused(status int, names []string, cause error) error {
	line := concatLine(1, int64(len(strings.Join(names, " "))))
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
	default:
		return cause
	}
	if line <= largeConcatLine {
		return cause
	}
	hint := fmt.Errorf("%s has %d bytes for %d parts, which the server or a proxy may refuse as too long: raise its limit, "+
		"or upload again in fewer parts (UploadOptions.Parallel, or MinPartSize or MaxConcatHeader of ParallelOptions)", headerUploadConcat, line, len(names))
	if cause == nil {
		return hint
	}
	return fmt.Errorf("%w: %w", cause, hint)
}
