package tus

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// The roles of uploads in the concatenation extension, as the protocol spells them.
const (
	concatPartial = "partial"
	concatFinal   = "final"
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
