package httpsource

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// address is a URL of the data, with what is sent to its origin.
type address struct {
	url      *url.URL // without userinfo and fragment
	header   http.Header
	redactor *httpx.Redactor
}

// newAddress parses a URL of the caller.
func (s *Source) newAddress(rawURL string) (*address, error) {
	u, err := httpx.ParseURL("source URL", rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", tus.ErrInvalidInput, err)
	}
	header, err := httpx.CallerHeader(s.header, u.User, reservedHeader)
	if err != nil {
		return nil, fmt.Errorf("%w: Options.Header: %w", tus.ErrInvalidInput, err)
	}
	redactor := s.redactor.With(header)
	redactor.AddLogin(u.User)
	u.User = nil
	return &address{url: u, header: header, redactor: redactor}, nil
}

// setAddress makes at the address of the next requests. The first one names the source.
func (s *Source) setAddress(at *address) {
	s.named.CompareAndSwap(nil, at)
	s.at.Store(at)
}

// address returns the address of the next request. If Options.URL is set, it is called for
// the first one and to replace refused, unless another reader has replaced that already.
// called reports whether it was.
func (s *Source) address(ctx context.Context, refused *address) (at *address, called bool, err error) {
	if at := s.at.Load(); at != nil && at != refused {
		return at, false, nil
	}
	if s.renewing.Acquire(ctx, 1) != nil {
		return nil, false, async.ContextError(ctx)
	}
	defer s.renewing.Release(1)
	if at := s.at.Load(); at != nil && at != refused {
		return at, false, nil
	}
	raw, err := s.newURL(untraced{ctx})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, true, async.ContextError(ctx)
	case err != nil: // the text of an error of net/http contains a URL, which may be secret
		return nil, true, fmt.Errorf("Options.URL: %w", httpx.StripURL(err))
	}
	if at, err = s.newAddress(raw); err != nil {
		return nil, true, fmt.Errorf("Options.URL: %w", err)
	}
	s.setAddress(at)
	return at, true, nil
}

// get requests the data and returns the response, with any status, after its header was
// received. A 401 or 403 is returned if there is no new URL, or if that is refused as well.
func (s *Source) get(ctx context.Context, header http.Header) (*flow, error) {
	var refused *address
	for renewed := false; ; {
		at, called, err := s.address(ctx, refused)
		if err != nil {
			return nil, err
		}
		renewed = renewed || called && refused != nil
		f, err := s.follow(ctx, at, header)
		if err != nil || s.newURL == nil || renewed || !f.refused() {
			return f, err
		}
		f.close()
		refused = at
	}
}

// refused reports whether the response may be about an expired URL.
func (f *flow) refused() bool {
	return f.resp.StatusCode == http.StatusUnauthorized || f.resp.StatusCode == http.StatusForbidden
}

// shownURL returns the first URL without secrets.
func (s *Source) shownURL() string {
	at := s.named.Load()
	return at.redactor.URL(at.url)
}

// name returns the last segment of the path, or "" if there is none.
func (s *Source) name() string {
	if name := path.Base(s.named.Load().url.Path); name != "/" && name != "." {
		return name
	}
	return ""
}

// identity returns what distinguishes the source from others. A query that changes is no
// part of it.
func (s *Source) identity() string {
	if s.ownIdentity != "" {
		return s.ownIdentity
	}
	u := *s.named.Load().url
	if s.newURL != nil {
		u.RawQuery = ""
	}
	return identityOf(&u)
}

// byValidator is the fingerprint of data with a strong validator, which reads nothing. A
// strong ETag is enough: replicas of a server may have other times.
type byValidator struct{}

func (byValidator) Fingerprint(ctx context.Context, _ io.ReaderAt, info fingerprint.Info) (string, error) {
	if strongETag(info.Version) {
		info.ModTime = time.Time{}
	}
	return fingerprint.Stat{}.Fingerprint(ctx, nil, info)
}
