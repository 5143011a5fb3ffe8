package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/digest"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/manifest"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
	"github.com/seed-175555ba/tus-go/tus"
)

// downloads compares what a server serves at upload URLs.
type downloads struct {
	common *common
	client *http.Client
}

// maxRedirects is the maximum number of redirects of one download.
const maxRedirects = 10

// downloads returns a client for downloads with the flags of all commands.
func (c *common) downloads(p *program) (*downloads, error) {
	base, err := c.httpClient(p, c.endpoint())
	if err != nil {
		return nil, err
	}
	if base == nil {
		base = &http.Client{Transport: tus.NewTransport()}
	}
	d := &downloads{common: c}
	client := *base
	client.CheckRedirect = d.redirect
	d.client = &client
	return d, nil
}

// redirect replaces the header of a redirected request: net/http copies --header to all
// origins.
func (d *downloads) redirect(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case via[0].URL.Scheme == "https" && r.URL.Scheme != "https":
		return errors.New("redirect from https to http")
	}
	var err error
	r.Header, err = d.headerFor(r.URL.String())
	return err
}

// headerFor returns the header of a request to rawURL, with the credentials for its origin.
func (d *downloads) headerFor(rawURL string) (http.Header, error) {
	h, err := d.common.headerFor(rawURL)
	if err != nil {
		return nil, err
	}
	h.Set("Accept-Encoding", "identity") // the digest is of the bytes as they are stored
	return h, nil
}

// compare compares the upload of an entry with its digest.
func (d *downloads) compare(ctx context.Context, entry manifest.Entry) (report.Verdict, string) {
	if entry.URL == "" {
		return report.NoURL, ""
	}
	sum, notServed, err := d.digest(ctx, entry.URL)
	switch {
	case err != nil:
		return report.Unreadable, err.Error()
	case notServed != "":
		return report.NotServed, notServed
	case sum != entry.Digest:
		return report.Different, ""
	}
	return report.Equal, ""
}

// errStalled is returned when a download stalls.
var errStalled = errors.New("no data within the timeout")

// digest downloads an upload and returns its digest, or why the server does not serve it.
func (d *downloads) digest(ctx context.Context, uploadURL string) (sum, notServed string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := newStallTimer(d.common.ResponseTimeout, func() { cancel(errStalled) })
	defer stall.stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, uploadURL, nil)
	if err != nil {
		return "", "", errors.New("not a URL")
	}
	if r.Header, err = d.headerFor(uploadURL); err != nil {
		return "", "", err
	}
	resp, err := d.client.Do(r)
	if err != nil {
		return "", "", requestError(ctx, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return "", resp.Status, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		err := &tus.Error{Method: http.MethodGet, URL: withoutSecrets(resp.Request.URL.String()), StatusCode: resp.StatusCode, Err: tus.ErrUnauthorized}
		return "", "", d.common.withAdvice(err)
	default:
		return "", "", fmt.Errorf("GET: response %s", resp.Status)
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return "", "only with Content-Encoding " + encoding, nil
	}
	stall.limit = d.common.StallTimeout
	stall.reset()
	sum, err = digest.OfReader(ctx, stallReader{resp.Body, stall})
	if err != nil {
		return "", "", requestError(ctx, err)
	}
	return sum, "", nil
}

// requestError returns the cause of err, without the URL, which may have a secret.
func requestError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var e *url.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	return fmt.Errorf("GET: %w", err)
}

// stallTimer calls a function if it is not reset within a limit; 0 means no limit.
type stallTimer struct {
	limit time.Duration
	timer *time.Timer
}

// never is a limit of the timer that does not end.
const never = 1 << 62

func newStallTimer(limit time.Duration, expired func()) *stallTimer {
	t := &stallTimer{limit: limit, timer: time.AfterFunc(never, expired)}
	t.reset()
	return t
}

func (t *stallTimer) reset() {
	if t.limit > 0 {
		t.timer.Reset(t.limit)
	} else {
		t.timer.Reset(never)
	}
}

func (t *stallTimer) stop() { t.timer.Stop() }

// stallReader resets a timer when data is read.
type stallReader struct {
	r     io.Reader
	timer *stallTimer
}

// Read implements io.Reader.
func (s stallReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if n > 0 {
		s.timer.reset()
	}
	return n, err
}
