package doctor

import (
	"context"
	"fmt"
	"net/http"
)

// checkPatch sends the first bytes (protocol section PATCH). If PATCH is blocked, it tries
// X-HTTP-Method-Override; if the size is refused, it tries others.
func (s *session) checkPatch(ctx context.Context) Finding {
	n := s.first()
	resp, err := s.patch(ctx, s.resumed, 0, n, nil)
	switch {
	case err == nil && resp.succeeded():
		s.advice.chunk = s.config.ChunkSize
		return s.acknowledged(resp, n)
	case ctx.Err() != nil:
		return Finding{Outcome: Unknown, Detail: "interrupted"}
	case !s.advice.override && isBlocked(resp):
		return s.tryOverride(ctx, resp, err)
	case err != nil:
		return Finding{Outcome: No, Detail: "PATCH fails: " + err.Error()}
	case s.config.ChunkSize == 0:
		return s.tryChunkSizes(ctx, resp)
	}
	return Finding{Outcome: No, Detail: fmt.Sprintf("a PATCH of %s is refused: %s", sizeText(n), describe(resp))}
}

// acknowledged inspects the response to a PATCH of n bytes.
func (s *session) acknowledged(resp *response, n int64) Finding {
	got, ok := offset(resp)
	switch {
	case !ok:
		return Finding{Outcome: No, Detail: fmt.Sprintf("the response to PATCH has no Upload-Offset: %s", describe(resp)),
			Advice: "check that no proxy removes header fields"}
	case got > n:
		return Finding{Outcome: No, Detail: fmt.Sprintf("the response to a PATCH of %d bytes has offset %d", n, got)}
	case got < n:
		return Finding{Outcome: Warning, Detail: fmt.Sprintf("the server stored %d of %d bytes of a PATCH", got, n)}
	}
	return Finding{Outcome: OK, Detail: fmt.Sprintf("%s were stored", sizeText(n))}
}

// isBlocked reports whether a proxy may have blocked a PATCH: there is no response, or one
// about the method.
func isBlocked(resp *response) bool {
	if resp == nil {
		return true
	}
	switch resp.StatusCode {
	case http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusForbidden:
		return true
	}
	return !resp.isTus() && (resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusBadRequest)
}

// tryOverride sends PATCH as POST.
func (s *session) tryOverride(ctx context.Context, refused *response, cause error) Finding {
	why := "gets no response"
	if cause != nil {
		why = "fails: " + cause.Error()
	}
	if refused != nil {
		why = "is refused: " + describe(refused)
	}
	n := s.first()
	s.advice.override = true
	resp, err := s.patch(ctx, s.resumed, 0, n, nil)
	if err == nil && resp.succeeded() {
		if f := s.acknowledged(resp, n); f.Outcome == No {
			s.advice.override = false
			return f
		}
		return Finding{Outcome: Warning, Detail: "PATCH " + why + "; as POST with X-HTTP-Method-Override, it works",
			Advice: "permit PATCH in the proxy, or use --method-override"}
	}
	s.advice.override = false
	if refused != nil && (refused.StatusCode == http.StatusBadRequest || refused.StatusCode == http.StatusForbidden) && s.config.ChunkSize == 0 {
		return s.tryChunkSizes(ctx, refused)
	}
	return Finding{Outcome: No, Detail: "PATCH " + why + "; X-HTTP-Method-Override does not help",
		Advice: "permit PATCH in the proxies and firewalls in front of the server"}
}

// tryChunkSizes looks for a size of chunks that the server accepts.
func (s *session) tryChunkSizes(ctx context.Context, refused *response) Finding {
	n := s.first()
	sizes := []int64{5 * mib, 6 * mib, 8 * mib} // that services require
	if refused.StatusCode == http.StatusRequestEntityTooLarge {
		sizes = []int64{64 * kib}
	}
	detail := fmt.Sprintf("a PATCH of %s that is not the last is refused: %s", sizeText(n), describe(refused))
	if refused.StatusCode >= 500 || refused.StatusCode == http.StatusUnauthorized || isGone(refused) {
		return Finding{Outcome: No, Detail: "PATCH is refused: " + describe(refused)}
	}
	for _, size := range sizes {
		if limit := s.server.maxSize; limit > 0 && size+min(size, s.rest()) > limit {
			continue
		}
		u, _, err := s.create(ctx, size+min(size, s.rest()), -1, nil)
		if err != nil || u == nil {
			continue
		}
		resp, err := s.patch(ctx, u, 0, size, nil)
		if err != nil || !resp.succeeded() || u.stored != size {
			continue
		}
		s.resumed, s.advice.chunk = u, size
		return Finding{Outcome: Warning, Detail: fmt.Sprintf("%s; one of %s is accepted", detail, sizeText(size)),
			Advice: "the server limits the size of chunks: use --chunk-size as its documentation requires"}
	}
	return Finding{Outcome: No, Detail: detail,
		Advice: "if the text names a size of chunks, try it: tusup doctor --chunk-size SIZE"}
}
