package tus

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

const (
	// defaultMaxConcatLine is a little below 8 KiB: nginx and Apache count the line end
	// and more.
	defaultMaxConcatLine = 8000
	// largeConcatLine is from where on a refusal may be one for the length: the least
	// limits of servers are 4 KiB.
	largeConcatLine = 4 << 10
	// longURL is a length in bytes that upload URLs do not reach: where parts with such
	// URLs would fit, they are all created at once.
	longURL = 1000
	// urlSpare is how much longer than the first the URLs of further parts may be, in
	// bytes, as where IDs are counted.
	urlSpare = 16
)

func (o *UploadOptions) maxConcatLine() int64 {
	return cmp.Or(o.MaxConcatHeader, defaultMaxConcatLine)
}

// concatLine is the length in bytes of the header line for a final upload of count parts
// whose URLs have urls bytes in all.
func concatLine(count, urls int64) int64 {
	return int64(len(headerUploadConcat+": final;\r\n")) + urls + max(0, count-1)
}

// mostParts is how many parts fit a header line of limit bytes, if the first one has this
// URL.
func mostParts(limit int64, first *url.URL) int64 {
	each := int64(len(first.String())) + urlSpare
	return max(0, limit-concatLine(0, 0)+1) / (each + 1)
}

// concatLine is that of the parts, named by URL. One that does not exist yet counts as much
// as the longest that does.
func (p *parallel) concatLine() int64 {
	var longest, total int64
	urls := p.partURLs()
	for _, at := range urls {
		n := int64(len(at.String()))
		longest, total = max(longest, n), total+n
	}
	return concatLine(int64(len(p.list)), total+longest*int64(len(p.list)-len(urls)))
}

// partNames is how Upload-Concat names parts: by path, which is shorter, if all have the
// endpoint's origin (the protocol allows relative URLs). byURL, or that the server refused
// paths before, names them by URL.
func (c *Client) partNames(parts []*url.URL, byURL bool) (names []string, paths bool) {
	paths = !byURL && !c.partURLs.Load()
	for _, at := range parts {
		// A path that begins with two slashes would be a host.
		if httpx.OriginOf(at) != httpx.OriginOf(c.endpoint) || strings.HasPrefix(at.EscapedPath(), "//") {
			paths = false
		}
	}
	for _, at := range parts {
		if paths {
			names = append(names, at.RequestURI())
		} else {
			names = append(names, at.String())
		}
	}
	return names, paths
}

// concatRefused adds to the refusal of a final upload what to do if its header was too
// long.
func concatRefused(err error, names []string) error {
	var e *Error
	line := concatLine(1, int64(len(strings.Join(names, " "))))
	if !errors.As(err, &e) || line <= largeConcatLine {
		return err
	}
	switch e.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
	default:
		return err
	}
	hint := fmt.Errorf("%s has %d bytes for %d parts, which the server or a proxy may refuse as too long: raise its limit, "+
		"or upload again in fewer parts (UploadOptions.Parallel, MinPartSize or MaxConcatHeader)", headerUploadConcat, line, len(names))
	if e.Err != nil {
		hint = fmt.Errorf("%w: %w", e.Err, hint)
	}
	return withCause(err, hint)
}
