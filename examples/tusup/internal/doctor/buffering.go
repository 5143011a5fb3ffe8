package doctor

import (
	"context"
	"fmt"
)

// largeSize is the size of the upload of which half is sent before the connection is cut, if
// nothing of a small request was stored.
const largeSize = 8 * mib

// checkBuffering reports whether bytes of an interrupted request were stored. If checkResume
// found none, a larger request is interrupted, as a large file would be.
func (s *session) checkBuffering(ctx context.Context) Finding {
	switch {
	case s.kept < 0:
		return Finding{Outcome: Unknown, Detail: "no request was interrupted, or too little of it was sent"}
	case s.kept > 0:
		return Finding{Outcome: OK, Detail: "the server stores bytes as they are sent"}
	}
	f := Finding{Outcome: Warning}
	lost, from := s.lost, s.creation
	sent, kept, resp := s.interruptLarge(ctx)
	if sent > 0 {
		lost, from = sent, resp
	}
	f.Advice = streamAdvice(from) + "; until then, requests become smaller after an interruption"
	f.Detail = fmt.Sprintf("nothing of an interrupted request is stored (%s were sent): a proxy buffers whole requests, or the server drops them", sizeText(lost))
	if kept > 0 {
		f.Detail = fmt.Sprintf("nothing of an interrupted request is stored (%s were sent), but %s of a larger one (%s): a proxy buffers some requests, or the server drops them",
			sizeText(s.lost), sizeText(kept), sizeText(sent))
	}
	return f
}

// interruptLarge sends half of a large upload and cuts the connection. It returns how many bytes
// were sent and stored, and the last response. sent is 0 if the upload is refused.
func (s *session) interruptLarge(ctx context.Context) (sent, kept int64, last *response) {
	size := int64(largeSize)
	if limit := s.server.maxSize; limit > 0 {
		size = min(size, limit)
	}
	if s.advice.chunk > 0 || size <= s.config.Size { // the server chooses the size of requests
		return 0, 0, nil
	}
	u, _, err := s.create(ctx, size, -1, nil)
	if err != nil || u == nil {
		return 0, 0, nil
	}
	if refusal := s.interrupt(ctx, u, 0, size, size/2); refusal != nil {
		return 0, 0, nil
	}
	s.client.CloseIdleConnections()
	resp, err := s.moved(ctx, u, 0)
	if err != nil || !resp.succeeded() {
		return 0, 0, nil
	}
	return size / 2, u.stored, resp
}

// moved requests the offset of an upload until it is above at, or for a short time: a server may
// store what it received after the connection was cut. It returns the last response.
func (s *session) moved(ctx context.Context, u *upload, at int64) (*response, error) {
	for try := 1; ; try++ {
		resp, err := s.head(ctx, u)
		if _, ok := offset(resp); err != nil || !resp.succeeded() || !ok || u.stored > at || try == lateTries {
			return resp, err
		}
		s.wait(ctx)
	}
}
