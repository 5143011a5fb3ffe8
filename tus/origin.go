package tus

import (
	"fmt"
	"net/url"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// parseURL parses an endpoint, upload URL or trusted origin that the caller
// gave. Errors name no credentials and no query.
func parseURL(kind, raw string) (*url.URL, error) {
	u, err := httpx.ParseURL(kind, raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	return u, nil
}

// resolveLocation resolves the Location header of a creation or redirect, which
// may be relative, against the URL of the request (protocol section Creation, POST).
func resolveLocation(base *url.URL, location string) (*url.URL, error) {
	u, err := httpx.Resolve(base, location)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return u, nil
}
