package main

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// verbose logs each answer, retry and failure of the store. No header value and
// no query is logged, as they may be secret.
func verbose(p *program, hooks *tus.Hooks) {
	var began sync.Map // *http.Request → time.Time
	hooks.BeforeRequest = func(r *http.Request) error {
		began.Store(r, time.Now())
		return nil
	}
	hooks.AfterResponse = func(r *http.Request, resp *tus.Response) {
		var took time.Duration
		if at, ok := began.LoadAndDelete(r); ok {
			took = time.Since(at.(time.Time)).Round(time.Millisecond)
		}
		p.logf("%s %s: %d, offset %s → %s, %v%s", r.Method, redacted(r.URL), resp.StatusCode,
			orDash(r.Header.Get("Upload-Offset")), orDash(resp.Header.Get("Upload-Offset")), took, algorithm(r))
	}
	hooks.OnRetry = func(e tus.RetryEvent) {
		p.logf("%s: attempt %d failed, next in %v: %v", orDash(e.Name), e.Attempt, e.Delay.Round(time.Millisecond), e.Err)
	}
	hooks.OnStoreError = func(e tus.StoreError) {
		p.logf("%s: cannot be resumed later: %s: %v", orDash(e.Name), e.Op, e.Err)
	}
}

// algorithm names the checksum of a request.
func algorithm(r *http.Request) string {
	value := r.Header.Get("Upload-Checksum")
	if value == "" && len(r.Trailer) > 0 {
		return ", checksum as trailer"
	}
	for i := range value {
		if value[i] == ' ' {
			return ", checksum " + value[:i]
		}
	}
	return ""
}

func redacted(u *url.URL) string {
	r := *u
	r.User, r.RawQuery, r.Fragment = nil, "", ""
	return r.String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
