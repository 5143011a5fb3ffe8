package tus

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

const (
	// defaultMaxConcatLine is a little below 8 KiB: nginx and Apache count the line end
	// and more.
	defaultMaxConcatLine = 8000
	// longURL is a length in bytes that upload URLs do not reach: if parts with such URLs
	// fit, all are created at once.
	longURL = 1000
)

func (o *UploadOptions) maxConcatLine() int64 {
	return cmp.Or(o.ParallelOptions.MaxConcatHeader, defaultMaxConcatLine)
}

// partNames returns how the creation of a final upload names its parts: by path, which is
// shorter, if all have the endpoint's origin (the protocol allows relative URLs), unless
// byURL is set or the server refused paths before.
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
