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

// Concatenate makes the server concatenate partial uploads, in the order of their URLs, to
// a final upload with metadata (protocol section Concatenation). A request that failed
// temporarily is retried by the client's policy. If its outcome is unknown because the
// response was lost, it is not repeated, as that might create two final uploads: the error
// then matches [ErrUnconfirmed].
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
