package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// notOffered is the finding for an extension that the server does not advertise.
func notOffered(advice string) Finding {
	return Finding{Outcome: No, Detail: "not advertised", Advice: advice}
}

// verdict records whether an extension works, and returns f. One that is advertised and does
// not work must not be used.
func (s *session) verdict(extension string, f Finding) Finding {
	switch f.Outcome {
	case OK:
		s.advice.works = append(s.advice.works, extension)
	case No:
		if s.server.known {
			s.advice.broken = append(s.advice.broken, extension)
		}
	}
	return f
}

// checkTermination deletes the upload that was resumed (protocol section Termination).
func (s *session) checkTermination(ctx context.Context) Finding {
	u := s.resumed
	left := "the test uploads stay on the server, and tusup terminate does not work"
	resp, err := s.remove(ctx, u)
	switch {
	case err != nil:
		return Finding{Outcome: No, Detail: "DELETE fails: " + err.Error(), Advice: left}
	case !resp.succeeded() && s.server.known && !s.server.offers("termination"):
		return Finding{Outcome: No, Detail: "not advertised; DELETE: " + describe(resp), Advice: left}
	case !resp.succeeded():
		return Finding{Outcome: No, Detail: "DELETE is refused: " + describe(resp), Advice: left}
	}
	if slices.Contains(s.uploads, u) {
		return Finding{Outcome: Warning, Detail: "DELETE was accepted, but the upload still exists", Advice: left}
	}
	s.deletes = true
	return s.verdict("termination", Finding{Outcome: OK, Detail: "DELETE works; HEAD no longer finds the upload"})
}

// checkCreationWithUpload creates an upload with its bytes (protocol section Creation With
// Upload).
func (s *session) checkCreationWithUpload(ctx context.Context) Finding {
	const name = "creation-with-upload"
	if !s.server.offers(name) {
		return notOffered("small files take two requests")
	}
	u, resp, err := s.create(ctx, s.small(), s.small(), nil)
	switch {
	case err != nil:
		return s.verdict(name, Finding{Outcome: No, Detail: "POST with bytes fails: " + err.Error()})
	case u == nil:
		return s.verdict(name, Finding{Outcome: No, Detail: "POST with bytes is refused: " + describe(resp)})
	}
	if _, ok := offset(resp); !ok {
		if resp, err = s.head(ctx, u); err != nil || !resp.succeeded() {
			return Finding{Outcome: Warning, Detail: "the response has no Upload-Offset"}
		}
	}
	if u.stored != s.small() {
		return Finding{Outcome: Warning, Detail: fmt.Sprintf("the server stored %d of %d bytes of the POST", u.stored, s.small()),
			Advice: "tusup sends the rest with PATCH"}
	}
	return s.verdict(name, Finding{Outcome: OK, Detail: "POST with bytes works: a small file takes one request"})
}

// checkDeferredLength creates an upload without its length (protocol section Creation,
// Upload-Defer-Length).
func (s *session) checkDeferredLength(ctx context.Context) Finding {
	const name = "creation-defer-length"
	const advice = "for standard input, use --buffer-limit SIZE"
	if !s.server.offers(name) {
		return notOffered(advice)
	}
	size := s.small()
	if s.advice.chunk > 0 { // the server may not count a smaller one as the last
		size = s.advice.chunk
	}
	length := strconv.FormatInt(size, 10)
	u, resp, err := s.create(ctx, size, -1, map[string]string{"Upload-Defer-Length": "1"})
	if err == nil && u != nil {
		resp, err = s.patch(ctx, u, 0, size, map[string]string{"Upload-Length": length})
	}
	if err == nil && u != nil && resp.succeeded() {
		resp, err = s.head(ctx, u)
	}
	switch {
	case err != nil:
		return s.verdict(name, Finding{Outcome: No, Detail: err.Error(), Advice: advice})
	case !resp.succeeded():
		return s.verdict(name, Finding{Outcome: No, Detail: fmt.Sprintf("%s is refused: %s", resp.Request.Method, describe(resp)), Advice: advice})
	case u == nil || u.stored != size || resp.Header.Get("Upload-Length") != length:
		return s.verdict(name, Finding{Outcome: No, Detail: "the upload has another length than the one that was sent with the last bytes", Advice: advice})
	}
	return s.verdict(name, Finding{Outcome: OK, Detail: "the length was sent with the last bytes: standard input works"})
}

// checkConcatenation creates two parts and the final upload (protocol section
// Concatenation).
func (s *session) checkConcatenation(ctx context.Context) Finding {
	const name = "concatenation"
	const advice = "without it, --parallel has no effect"
	if !s.server.offers(name) {
		return notOffered(advice)
	}
	refused := func(step string, resp *response, err error) Finding {
		detail := step + " fails"
		if err != nil {
			detail += ": " + err.Error()
		} else if resp != nil {
			detail = step + " is refused: " + describe(resp)
		}
		return s.verdict(name, Finding{Outcome: No, Detail: detail, Advice: advice})
	}
	var paths, urls []string
	for range 2 {
		u, resp, err := s.create(ctx, s.small(), -1, map[string]string{"Upload-Concat": "partial"})
		if u == nil {
			return refused("the creation of a part", resp, err)
		}
		if resp, err = s.patch(ctx, u, 0, s.small(), nil); err != nil || !resp.succeeded() {
			return refused("PATCH of a part", resp, err)
		}
		paths = append(paths, u.url.EscapedPath())
		urls = append(urls, u.url.String())
	}
	final, resp, err := s.create(ctx, 2*s.small(), -1, map[string]string{"Upload-Concat": "final;" + strings.Join(paths, " ")})
	if err == nil && final == nil && resp.StatusCode >= 400 && resp.StatusCode < 500 { // some servers require URLs
		final, resp, err = s.create(ctx, 2*s.small(), -1, map[string]string{"Upload-Concat": "final;" + strings.Join(urls, " ")})
	}
	if final == nil {
		return refused("the creation of the final upload", resp, err)
	}
	if resp, err = s.head(ctx, final); err != nil || !resp.succeeded() {
		return refused("HEAD of the final upload", resp, err)
	}
	if got := resp.Header.Get("Upload-Length"); got != strconv.FormatInt(2*s.small(), 10) {
		return s.verdict(name, Finding{Outcome: No, Detail: fmt.Sprintf("the final upload has length %q, not %d", short(got, 20), 2*s.small()), Advice: advice})
	}
	return s.verdict(name, Finding{Outcome: OK, Detail: "two parts were concatenated: --parallel N works"})
}

// isMismatch reports whether a response is about a wrong checksum.
func isMismatch(r *response) bool {
	return r.StatusCode == statusChecksumMismatch || r.StatusCode == http.StatusExpectationFailed
}
