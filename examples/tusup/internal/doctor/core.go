package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// statusChecksumMismatch is the status of section Checksum.
const statusChecksumMismatch = 460

// first returns the size of the first PATCH.
func (s *session) first() int64 {
	const unit = 256 * kib // of which some services require multiples
	half := s.config.Size / 2
	switch {
	case s.config.ChunkSize > 0:
		return s.config.ChunkSize
	case half > unit:
		return half - half%unit
	}
	return half
}

// rest returns the size of the PATCH that is interrupted.
func (s *session) rest() int64 {
	rest := s.config.Size - s.config.Size/2
	if chunk := s.config.ChunkSize; chunk > 0 {
		return min(rest, chunk)
	}
	return rest
}

// small returns the size of the uploads that are sent in one request.
func (s *session) small() int64 {
	if chunk := s.advice.chunk; chunk > 0 {
		return min(smallSize, chunk)
	}
	return smallSize
}

// checkCreation creates the upload that is interrupted and resumed (protocol section
// Creation).
func (s *session) checkCreation(ctx context.Context) Finding {
	size := s.first() + s.rest()
	u, resp, err := s.create(ctx, size, -1, nil)
	if err != nil {
		return Finding{Outcome: No, Detail: "POST: " + err.Error()}
	}
	before := resp
	if u == nil && !strings.HasSuffix(s.endpoint.Path, "/") {
		given := s.endpoint
		s.endpoint = withSlash(given)
		u, resp, err = s.create(ctx, size, -1, nil)
		s.advice.slash = u != nil
		if u == nil {
			s.endpoint, resp = given, before
		}
	}
	s.resumed, s.creation = u, resp
	switch {
	case err == nil && u == nil:
		return s.refusedCreation(resp)
	case u == nil:
		return Finding{Outcome: No, Detail: "POST: " + describe(before)}
	case !resp.isTus():
		return Finding{Outcome: Warning, Detail: fmt.Sprintf("POST: %d, without Tus-Resumable", resp.StatusCode),
			Advice: "check that no proxy removes header fields"}
	case before != resp:
		return Finding{Outcome: Warning,
			Detail: fmt.Sprintf("without a slash at its end, the endpoint responds %s; with it, the upload is created", describe(before)),
			Advice: "add the slash to the endpoint"}
	}
	return Finding{Outcome: OK, Detail: fmt.Sprintf("an upload of %s was created", sizeText(size))}
}

// refusedCreation explains the response to a creation without an upload.
func (s *session) refusedCreation(resp *response) Finding {
	f := Finding{Outcome: No, Detail: "POST: " + describe(resp)}
	switch status := resp.StatusCode; {
	case resp.succeeded() && resp.isTus():
		f.Detail = fmt.Sprintf("POST: %d without a valid Location", status)
		f.Advice = "check that no proxy removes header fields"
	case resp.succeeded():
		f.Detail = fmt.Sprintf("POST: %d without Location, from %s", status, identify(resp))
		if title := excerpt(resp); title != "" {
			f.Detail += fmt.Sprintf(", %q", title)
		}
		f.Advice = "check the endpoint: it is not the upload creation URL of a tus server"
	case status == http.StatusUnauthorized:
		if realm := resp.Header.Get("Www-Authenticate"); realm != "" {
			f.Detail += "; it requires " + short(realm, 60)
		}
		f.Advice = s.config.LoginAdvice
	case status == http.StatusForbidden:
		f.Advice = "check the credentials; if the text names metadata or a size, use --metadata or --size"
	case status == http.StatusRequestEntityTooLarge:
		f.Advice = "use a smaller --size"
	case status == http.StatusPreconditionFailed:
		f.Advice = "the server requires another version of tus"
	case resp.redirects() && strings.Contains(identify(resp), "login"):
		f.Advice = s.config.LoginAdvice
	case resp.redirects():
		f.Advice = "use the URL of the redirect as the endpoint: this redirect does not keep the method"
	case isGone(resp), status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
		f.Advice = "check the path of the endpoint, and that no proxy blocks POST"
	case status >= 500:
		f.Advice = "check the server, and the proxies in front of it"
	default:
		f.Advice = "if the text names metadata or a size, use --metadata or --size"
	}
	return f
}

// checkLocation compares the upload URL with the endpoint.
func (s *session) checkLocation(ctx context.Context) Finding {
	u, from := s.resumed, s.creation.from
	raw := strings.TrimSpace(s.creation.Header.Get("Location"))
	switch {
	case from.Scheme == "https" && u.url.Scheme == "http" && !s.trusts(u.url):
		return s.misplaced(ctx, u, "the upload URL leads from https to http: "+show(u.url))
	case !u.trusted:
		return s.foreignLocation(ctx, u)
	case origin(u.url) != origin(from):
		return Finding{Outcome: OK, Detail: "the upload URL has another origin, which is trusted: " + show(u.url)}
	case !strings.Contains(raw, "://"):
		return Finding{Outcome: OK, Detail: "the upload URL is relative to the endpoint"}
	}
	return Finding{Outcome: OK, Detail: "the upload URL keeps scheme and host of the endpoint"}
}

// foreignLocation tries an upload URL that gets no credentials.
func (s *session) foreignLocation(ctx context.Context, u *upload) Finding {
	detail := "the upload URL has another origin: " + show(u.url)
	resp, err := s.head(ctx, u)
	switch {
	case err != nil:
		why, _ := unreachable(u.url, err)
		return s.misplaced(ctx, u, detail+", which is not reachable: "+why)
	case resp.succeeded():
		return Finding{Outcome: Warning, Detail: detail + ", which responds without credentials", Advice: "if it is the same server, " + forward}
	case s.hasCredentials() && resp.wantsCredentials():
		s.advice.origins = append(s.advice.origins, (&url.URL{Scheme: u.url.Scheme, Host: u.url.Host}).String())
		return Finding{Outcome: No, Detail: fmt.Sprintf("%s, which requires credentials (%d)", detail, resp.StatusCode),
			Advice: "if you trust this origin with the credentials, use --trusted-origin; if it is the same server, " + forward}
	}
	return s.misplaced(ctx, u, detail+": HEAD "+describe(resp))
}

// forward is the advice for a server that does not know its own origin.
const forward = "let the proxy send Host, X-Forwarded-Host and X-Forwarded-Proto, and the server use them (tusd: -behind-proxy)"

// misplaced returns the finding for an upload URL that cannot be used. It looks for the
// upload at the origin of the endpoint, so that it can be deleted.
func (s *session) misplaced(ctx context.Context, u *upload, detail string) Finding {
	f := Finding{Outcome: No, Detail: detail, Advice: "if it is the same server, " + forward}
	here := *u.url
	here.Scheme, here.Host = s.creation.from.Scheme, s.creation.from.Host
	moved := &upload{url: &here, trusted: s.creation.trusted}
	resp, err := s.head(ctx, moved)
	if err != nil || !resp.succeeded() {
		return f
	}
	if _, ok := offset(resp); ok {
		u.url, u.trusted = moved.url, moved.trusted
		f.Detail += "; the upload is at " + show(u.url)
		f.Advice = forward
	}
	return f
}

// checkResume cuts a connection, requests the offset over a new one, and sends the rest.
func (s *session) checkResume(ctx context.Context) Finding {
	u := s.resumed
	at := u.stored
	n := u.size - at
	sent := n * 3 / 4
	early := s.interrupt(ctx, u, at, n, sent)
	s.client.CloseIdleConnections()
	resp, err := s.moved(ctx, u, at)
	if err != nil {
		return Finding{Outcome: No, Detail: "after an interruption, HEAD fails: " + err.Error()}
	}
	if _, ok := offset(resp); !resp.succeeded() || !ok {
		f := Finding{Outcome: No, Detail: "after an interruption, HEAD has no Upload-Offset: " + describe(resp), Advice: headAdvice(resp)}
		if isGone(resp) {
			f.Detail = "after an interruption, the upload is gone: " + describe(resp)
		}
		return f
	}
	offset := u.stored
	if offset > at+sent {
		return Finding{Outcome: No, Detail: fmt.Sprintf("after an interruption, HEAD has offset %d, but only %d bytes were sent", offset, at+sent)}
	}
	if early == nil && sent > clientBuffer { // else nothing was interrupted, or sent
		s.kept, s.lost = max(0, offset-at), sent
	}
	resp, err = s.sendRest(ctx, u)
	switch {
	case err != nil:
		return Finding{Outcome: No, Detail: fmt.Sprintf("resumed at offset %d, PATCH fails: %v", offset, err)}
	case !resp.succeeded() || u.stored != u.size:
		return Finding{Outcome: No, Detail: fmt.Sprintf("resumed at offset %d, PATCH does not complete the upload: %s", offset, describe(resp))}
	}
	s.done = true
	if offset < at {
		return Finding{Outcome: Warning, Detail: fmt.Sprintf("after an interruption, the server lost acknowledged bytes: the offset went from %d back to %d", at, offset),
			Advice: "uploads resume, but check where the server stores"}
	}
	return Finding{Outcome: OK, Detail: fmt.Sprintf("cut after %s, resumed at %s over a new connection, complete at %s",
		sizeText(at+sent), sizeText(offset), sizeText(u.size))}
}

// sendRest completes an upload. It waits a short time for a lock, and sends again what the
// server did not store of a request.
func (s *session) sendRest(ctx context.Context, u *upload) (*response, error) {
	for try := 1; ; try++ {
		at := u.stored
		resp, err := s.patch(ctx, u, at, u.size-at, nil)
		if err == nil && resp.succeeded() && u.stored > at && u.stored < u.size {
			continue
		}
		if err != nil || !isLocked(resp) || try >= lockTries {
			return resp, err
		}
		s.wait(ctx)
		if _, err := s.head(ctx, u); err != nil {
			return nil, err
		}
	}
}

// checkFinished requests the state of the finished upload.
func (s *session) checkFinished(ctx context.Context) Finding {
	const lost = "if the last response is lost, tusup cannot find out whether the upload is complete"
	resp, err := s.head(ctx, s.resumed)
	if err != nil {
		return Finding{Outcome: Warning, Detail: "HEAD of a finished upload fails: " + err.Error(), Advice: lost}
	}
	n, ok := offset(resp)
	switch {
	case !resp.succeeded() || !ok:
		return Finding{Outcome: Warning, Detail: "HEAD of a finished upload: " + describe(resp), Advice: lost}
	case n != s.resumed.size:
		s.done = false
		return Finding{Outcome: No, Detail: fmt.Sprintf("after the last PATCH, HEAD has offset %d of %d", n, s.resumed.size)}
	}
	return Finding{Outcome: OK, Detail: "HEAD confirms that the upload is complete"}
}

// checkExpiration reports when unfinished uploads expire (protocol section Expiration).
func (s *session) checkExpiration(context.Context) Finding {
	switch {
	case s.expires == 0 && s.server.known && s.server.offers("expiration"):
		return Finding{Outcome: OK, Detail: "advertised, but no response had Upload-Expires"}
	case s.expires == 0:
		return Finding{Outcome: No, Detail: "no response has Upload-Expires: it is unknown when unfinished uploads expire"}
	case s.expires < time.Hour:
		return Finding{Outcome: Warning, Detail: fmt.Sprintf("unfinished uploads expire after %v", s.expires.Round(time.Second)),
			Advice: "a longer interruption starts the upload over"}
	}
	return Finding{Outcome: OK, Detail: fmt.Sprintf("unfinished uploads expire after %v", s.expires.Round(time.Minute))}
}
