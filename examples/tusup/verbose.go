package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// requestLog is a transport that logs each request, with or without a response. It does
// not log queries and headers, except for offsets: they may be secret.
type requestLog struct {
	transport interface {
		http.RoundTripper
		CloseIdleConnections()
	}
	program *program
	secrets []string
}

// CloseIdleConnections is called by http.Client.
func (l requestLog) CloseIdleConnections() { l.transport.CloseIdleConnections() }

// RoundTrip implements http.RoundTripper.
func (l requestLog) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := l.transport.RoundTrip(r)
	took := time.Since(start).Round(time.Millisecond)
	outcome, offset := "no response", ""
	if err == nil {
		outcome, offset = strconv.Itoa(resp.StatusCode), resp.Header.Get("Upload-Offset")
	}
	l.program.logf("%s %s: %s, offset %s → %s, %v%s", r.Method, l.redacted(r.URL), outcome,
		orDash(r.Header.Get("Upload-Offset")), orDash(offset), took, algorithm(r))
	return resp, err
}

// algorithm returns the checksum algorithm of a request, for the log line.
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

// redacted returns u without user, query and fragment, and "[redacted]" if a server put
// a token into the path.
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

// withoutUser returns an upload URL without user and password, for output. It keeps the
// query, which may be needed to resume the upload.
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
