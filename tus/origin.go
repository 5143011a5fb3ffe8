package tus

import (
	"fmt"
	"net/url"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// parseURL parses an endpoint, upload URL or trusted origin of the caller. Error texts
// contain no credentials and no query.
func parseURL(kind, raw string) (*url.URL, error) {
	u, err := httpx.ParseURL(kind, raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	return u, nil
}

// resolveLocation resolves the Location header of a creation or redirect, which may be
// relative, against the URL of the request (protocol section Creation, POST).
func resolveLocation(base *url.URL, location string) (*url.URL, error) {
	u, err := httpx.Resolve(base, location)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return u, nil
}

// destination is the destination of a request.
type destination struct {
	url *url.URL
	// untrusted is the first untrusted origin of all redirects up to url; the zero value if
	// there is none. Later trusted origins do not reset it, because an untrusted server must
	// not choose the requests that carry credentials.
	untrusted httpx.Origin
}

// trusted reports whether the caller's header may be sent to d.
func (d destination) trusted() bool { return d.untrusted == httpx.Origin{} }

// destination returns the destination u, which a response of from contained. from is the
// zero value if the caller chose u.
func (c *Client) destination(from destination, u *url.URL) destination {
	to := destination{url: u, untrusted: from.untrusted}
	if from.trusted() && !c.trusts(u) {
		to.untrusted = httpx.OriginOf(u)
	}
	return to
}

// follow returns the destination in the Location header of a response.
func (c *Client) follow(r *reply, location string) (destination, error) {
	from := r.to
	u, err := resolveLocation(from.url, location)
	if err != nil {
		return destination{}, err
	}
	r.redactor.NoteEcho(r.secrets(), from.url, u)
	// A server behind a proxy that ends TLS often returns http URLs. The upload must not
	// continue without TLS.
	if from.url.Scheme == "https" && u.Scheme == "http" && !c.trusts(u) {
		return destination{}, fmt.Errorf("%w: Location leads from https to %s, which is not a trusted origin", ErrProtocol, r.redactor.URL(u))
	}
	return c.destination(from, u), nil
}
