package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
)

// bodySizes returns the sizes in bytes of the bodies to try, in ascending order.
func (s *session) bodySizes() []int64 {
	limit := s.config.MaxBody
	switch {
	case limit == 0 && s.deletes:
		limit = DefaultMaxBody
	case limit == 0:
		limit = mib
	}
	if s.server.maxSize > 0 {
		limit = min(limit, s.server.maxSize)
	}
	sizes := []int64{mib, 8 * mib, 64 * mib, 128 * mib}
	for size := int64(256 * mib); size > 0 && size < limit; size *= 2 {
		sizes = append(sizes, size)
	}
	sizes = slices.DeleteFunc(sizes, func(size int64) bool { return size >= limit })
	return append(sizes, limit)
}

// checkBodySize looks for the largest body of a PATCH that is not refused.
func (s *session) checkBodySize(ctx context.Context) Finding {
	var fits, refused int64
	var why string                   // of the first refusal
	var refusal *response            // that one; nil if there was no response
	tried := func(size int64) bool { // reports whether it fits
		if size <= fits {
			return true
		}
		resp, text := s.tryBody(ctx, size)
		if text == "" {
			fits = size
			return true
		}
		if refused = size; why == "" {
			refusal, why = resp, text
		}
		return false
	}
	for _, size := range s.bodySizes() {
		if ctx.Err() != nil || !tried(size) {
			break
		}
	}
	for size := refused / 2; size >= 256*kib && ctx.Err() == nil; size /= 2 {
		if tried(size) {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return Finding{Outcome: Unknown, Detail: "interrupted"}
	case refused == 0 && !s.deletes && s.config.MaxBody == 0:
		return Finding{Outcome: OK, Detail: fmt.Sprintf("a body of %s is accepted; larger ones were not tried, because they would stay on the server", sizeText(fits)),
			Advice: "to try larger ones, use --max-body SIZE"}
	case refused == 0:
		return Finding{Outcome: OK, Detail: fmt.Sprintf("a body of %s is accepted; larger ones were not tried", sizeText(fits)),
			Advice: "to try larger ones, use --max-body SIZE"}
	case fits == 0:
		return Finding{Outcome: Warning, Detail: fmt.Sprintf("a body of %s is refused: %s", sizeText(refused), why),
			Advice: "raise the limit of the proxy or server"}
	}
	s.advice.limit(fits)
	advice := "raise the limit of the server"
	switch {
	case refusal == nil: // a proxy may have cut the connection
		advice = sizeAdvice(s.creation)
	case !refusal.isTus():
		advice = sizeAdvice(refusal)
	}
	advice += ", or use --chunk-size"
	if refusal != nil && refusal.StatusCode == http.StatusRequestEntityTooLarge {
		advice += "; --min-chunk-size finds the limit by itself"
	}
	return Finding{Outcome: Warning, Detail: fmt.Sprintf("a body of %s is accepted, one of %s is refused: %s", sizeText(fits), sizeText(refused), why), Advice: advice}
}

// tryBody sends an upload in one PATCH. It returns why that failed, and the response if there
// was one.
func (s *session) tryBody(ctx context.Context, size int64) (*response, string) {
	u, resp, err := s.create(ctx, size, -1, nil)
	if u == nil {
		return resp, reason(resp, err)
	}
	resp, err = s.patch(ctx, u, 0, size, nil)
	if s.deletes && ctx.Err() == nil {
		if _, err := s.remove(ctx, u); err != nil {
			u.stored = size // as far as known
		}
	}
	switch {
	case err != nil:
		return nil, "no response: " + err.Error()
	case !resp.succeeded():
		return resp, describe(resp)
	}
	return resp, ""
}
