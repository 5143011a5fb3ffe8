package tus

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// The roles of uploads in the concatenation extension, as the protocol spells them.
const (
	concatPartial = "partial"
	concatFinal   = "final"
)

const (
	// defaultMaxConcatLine is below 8 KiB: nginx and Apache also count the line end and
	// more.
	defaultMaxConcatLine = 8000
	// longURL is longer in bytes than upload URLs are. If parts with such URLs fit, all are
	// created at once.
	longURL = 1000
)

// Concatenate creates a final upload with metadata from partial uploads, in the order of
// their URLs (protocol section Concatenation). Temporary failures are retried by the
// client's policy. If the outcome is unknown because the response was lost, the request is
// not retried, as that might create a second final upload: the error then matches
// [ErrUnconfirmed].
func (c *Client) Concatenate(ctx context.Context, partialURLs []string, metadata Metadata) (*Created, error) {
	if len(partialURLs) == 0 {
		return nil, fmt.Errorf("%w: final upload of no parts", ErrInvalidInput)
	}
	for _, raw := range partialURLs {
		if _, err := parseURL("partial upload URL", raw); err != nil {
			return nil, err
		}
		if strings.ContainsAny(raw, " \t\r\n") {
			return nil, fmt.Errorf("%w: partial upload URL with a space", ErrInvalidInput)
		}
	}
	return c.createOnly(ctx, creation{metadata: metadata, final: slices.Clone(partialURLs)})
}

func (o *UploadOptions) maxConcatLine() int64 {
	return cmp.Or(o.ParallelOptions.MaxConcatHeader, defaultMaxConcatLine)
}

// partNames returns the names of the parts in the request for a final upload. They are
// paths, which are shorter than URLs and allowed by the protocol, if all parts have the
// origin of the endpoint, unless byURL is set or the server has refused paths before.
func (c *Client) partNames(parts []*url.URL, byURL bool) (names []string, paths bool) {
	paths = !byURL && !c.partURLs.Load()
	for _, part := range parts {
		// A path that begins with two slashes would be a host.
		if httpx.OriginOf(part) != httpx.OriginOf(c.endpoint) || strings.HasPrefix(part.EscapedPath(), "//") {
			paths = false
		}
	}
	for _, part := range parts {
		if paths {
			names = append(names, part.RequestURI())
		} else {
			names = append(names, part.String())
		}
	}
	return names, paths
}
