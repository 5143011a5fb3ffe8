package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// requestLog is a transport that logs each request, answered or not. No header
// value but offsets and no query is logged, as they may be secret.
type requestLog struct {
	*http.Transport
	program *program
	secrets []string
}

// RoundTrip implements http.RoundTripper.
func (l requestLog) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := l.Transport.RoundTrip(r)
	took := time.Since(start).Round(time.Millisecond)
	outcome, offset := "no answer", ""
	if err == nil {
		outcome, offset = strconv.Itoa(resp.StatusCode), resp.Header.Get("Upload-Offset")
	}
	l.program.logf("%s %s: %s, offset %s → %s, %v%s", r.Method, l.redacted(r.URL), outcome,
		orDash(r.Header.Get("Upload-Offset")), orDash(offset), took, algorithm(r))
	return resp, err
}

// tellFailures logs each retry and each failure of the store.
func tellFailures(p *program, hooks *tus.Hooks) {
	hooks.OnRetry = func(u *tus.Uploader, r tus.Retry) {
		p.logf("%s: attempt %d failed, next in %v: %v", orDash(u.Name()), r.Attempt, r.Delay.Round(time.Millisecond), r.Err)
	}
	hooks.OnStoreError = func(u *tus.Uploader, err error) {
		p.logf("%s: cannot be resumed later: %v", orDash(u.Name()), err)
	}
}

// algorithm names the checksum of a request.
func algorithm(r *http.Request) string {
	value := r.Header.Get("Upload-Checksum")
	if value == "" && len(r.Trailer) > 0 {
		return ", checksum as trailer"
	}
	if name, _, ok := strings.Cut(value, " "); ok {
		return ", checksum " + name
	}
	return ""
}

// redacted returns u without what may be secret. A server may have put a token into
// the path.
func (l requestLog) redacted(u *url.URL) string {
	r := *u
	r.User, r.RawQuery, r.Fragment = nil, "", ""
	text := r.String()
	for _, secret := range l.secrets {
		if strings.Contains(text, secret) || strings.Contains(u.Path, secret) {
			return "[redacted]"
		}
	}
	return text
}

// withoutUser is an upload URL as it may be shown: it may be needed with its query, but
// the password that somebody put before the host is theirs.
func withoutUser(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.User == nil {
		return raw
	}
	u.User = nil
	return u.String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
