package httpsource

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// check asks for the version once more, if bytes were read since that was last
// answered. A server that does not answer is forgiven, and asked again by the next
// check. The lock must be held.
func (s *Source) check(ctx context.Context, v *version) error {
	err := s.ask(ctx, v)
	if ctx.Err() != nil {
		return async.ContextError(ctx)
	}
	if errors.Is(err, tus.ErrSourceChanged) {
		return err
	}
	return nil
}

// ask is check with the error of a server that does not answer.
func (s *Source) ask(ctx context.Context, v *version) error {
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

// confirm asks whether the data is still of version v, for no more of it than that
// takes.
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
		// The condition compares weakly, so that the header of a whole answer has to
		// tell.
	}
	// Dates are not asked for with If-Modified-Since, to which a file that was
	// replaced by an older one is unchanged.
	f, err := s.get(ctx, v.request(0, 1))
	if err != nil {
		return err
	}
	defer f.close()
	return v.position(f, 0)
}

// checkEnd checks data of unknown length when all of it was read, as an upload does
// not look at such a source again. Its error is io.EOF if nothing speaks against it.
func (r *reader) checkEnd() error {
	s := r.source
	err := r.insist(func() error {
		if err := s.lock(r.ctx); err != nil {
			return err
		}
		defer s.unlock()
		return s.ask(r.ctx, r.version)
	})
	switch {
	case r.ctx.Err() != nil:
		return async.ContextError(r.ctx)
	case errors.Is(err, tus.ErrSourceChanged):
		return err
	}
	return io.EOF
}
