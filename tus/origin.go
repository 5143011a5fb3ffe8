package tus

import (
	"fmt"
	"net/url"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// parseURL parses an endpoint, upload URL or trusted origin of the caller. Errors contain
// no credentials and no query.
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

// destination is where a request goes.
type destination struct {
	url *url.URL
	// foreign is the first untrusted origin of all redirects up to url; the zero value if
	// there is none. It stays: an untrusted server must not choose what credentials are
	// used for.
	foreign httpx.Origin
}

// trusted reports whether the caller's headers may be sent along.
func (d destination) trusted() bool { return d.foreign == httpx.Origin{} }

// destination returns u as the destination that a response of from named, or the caller if
// from is the zero value.
func (c *Client) destination(from destination, u *url.URL) destination {
	to := destination{url: u, foreign: from.foreign}
	if from.trusted() && !c.trusts(u) {
		to.foreign = httpx.OriginOf(u)
	}
	return to
}

// follow resolves the Location header of a response.
func (c *Client) follow(r *reply, location string) (destination, error) {
	from := r.from
	u, err := resolveLocation(from.url, location)
	if err != nil {
		return destination{}, err
	}
	c.redactor.NoteEcho(r.secrets(), from.url, u)
	// A server, often one that does not know of the proxy in front of it, must not
	// redirect an upload from https to http.
	if from.url.Scheme == "https" && u.Scheme == "http" && !c.trusts(u) {
		return destination{}, fmt.Errorf("%w: it leads from https to %s, which is not a trusted origin", ErrProtocol, c.redactor.URL(u))
	}
	return c.destination(from, u), nil
}
