package httpsource

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// check requests the version if bytes were read since the last check. It returns only the
// end of ctx and a change: after another failure, the next check requests it again. The
// lock must be held.
func (s *Source) check(ctx context.Context, v *version) error {
	err := s.checkStrictly(ctx, v)
	if ctx.Err() != nil {
		return async.ContextError(ctx)
	}
	if errors.Is(err, tus.ErrSourceChanged) {
		return err
	}
	return nil
}

// checkStrictly is check, but returns all errors.
func (s *Source) checkStrictly(ctx context.Context, v *version) error {
	received := s.received.Load()
	if s.changed != nil || !v.strong || received == s.checked {
		return s.changed
	}
	err := s.confirm(ctx, v)
	if errors.Is(err, tus.ErrSourceChanged) {
		s.changed = err
	}
	if err == nil || s.changed != nil {
		s.checked = received
	}
	return err
}

// confirm checks that the data still has version v, with as small a response as possible.
func (s *Source) confirm(ctx context.Context, v *version) error {
	if !v.ranges && strongETag(v.etag) {
		f, err := s.get(ctx, http.Header{"If-None-Match": {v.etag}})
		if err != nil {
			return err
		}
		defer f.close()
		if f.resp.StatusCode != http.StatusNotModified {
			return v.position(f, 0)
		}
		if etag := f.resp.Header.Get("Etag"); etag == "" || etag == v.etag {
			return nil
		}
		// The condition compares weakly: the header of a whole response decides.
	}
	// If-Modified-Since would not detect that a file was replaced by an older one.
	f, err := s.get(ctx, v.request(0, 1))
	if err != nil {
		return err
	}
	defer f.close()
	return v.position(f, 0)
}

// checkEnd checks data of unknown length when all of it was read, because an upload does
// not call Stat again. It returns io.EOF if no change is known.
func (r *reader) checkEnd() error {
	s := r.source
	err := r.retrying(func() error {
		if err := s.lock(r.ctx); err != nil {
			return err
		}
		defer s.unlock()
		return s.checkStrictly(r.ctx, r.version)
	})
	switch {
	case r.ctx.Err() != nil:
		return async.ContextError(r.ctx)
	case errors.Is(err, tus.ErrSourceChanged):
		return err
	}
	return io.EOF
}
