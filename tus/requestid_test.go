package tus_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestRequestID_EachAttemptHasItsOwn(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.Respond(503, "")},
		tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(10_000)})
	client := newClient(t, srv.Endpoint(), &tus.Options{RequestIDHeader: "x-request-id"})
	if _, err := client.Upload(testContext(t), tus.Bytes(make([]byte, 30_000)), &tus.UploadOptions{CreationLimit: -1}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range srv.Requests() {
		id := r.Header.Get("X-Request-ID")
		if len(id) < 16 || seen[id] {
			t.Errorf("%s has the ID %q; all: %v", r.Method, id, seen)
		}
		seen[id] = true
	}
	if len(seen) < 5 {
		t.Errorf("%d requests", len(seen))
	}
}

func TestRequestID_ErrorAndLogHaveBoth(t *testing.T) {
	for name, test := range map[string]struct {
		respond func(id string) string // the ID in the response
		hook    func(*http.Request) error
		server  string // ServerRequestID; "same" stands for the ID of the request
	}{
		"none":     {respond: func(string) string { return "" }},
		"echo":     {respond: func(id string) string { return id }},
		"own":      {respond: func(string) string { return "server-7" }, server: "server-7"},
		"prefixed": {respond: func(id string) string { return "edge/" + id }, server: "edge/"},
		"secret":   {respond: func(string) string { return "S3CRETTOKEN" }, server: "[redacted]"},
		"hook": {respond: func(id string) string { return id }, hook: func(r *http.Request) error {
			r.Header.Set("X-Request-ID", "trace-"+r.Method)
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				id := r.Header.Get("X-Request-ID")
				if sent := test.respond(id); sent != "" {
					w.Header().Set("X-Request-ID", sent)
				}
				tustest.Respond(403, "request "+id+" has no access")(w, r, h)
			}})
			var logged bytes.Buffer
			client := newClient(t, srv.Endpoint(), &tus.Options{
				RequestIDHeader: "X-Request-ID",
				Header:          http.Header{"Authorization": {"Bearer S3CRETTOKEN"}},
				Hooks:           tus.Hooks{BeforeRequest: test.hook},
				Logger:          slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
			})
			_, err := client.Upload(testContext(t), tus.Bytes([]byte("x")), nil)
			var e *tus.Error
			if !errors.As(err, &e) {
				t.Fatal(err)
			}
			sent := srv.Requests()[len(srv.Requests())-1].Header.Get("X-Request-ID")
			want := test.server
			if strings.HasSuffix(want, "/") {
				want += sent
			}
			if e.RequestID != sent || e.ServerRequestID != want || test.hook != nil && sent != "trace-POST" {
				t.Errorf("IDs are %q and %q, want %q and %q", e.RequestID, e.ServerRequestID, sent, want)
			}
			if !strings.Contains(e.Message, sent) || !strings.Contains(err.Error(), "(request ID "+sent+")") {
				t.Errorf("the error is %v", err)
			}
			if !strings.Contains(logged.String(), "request_id="+sent) || strings.Contains(logged.String()+err.Error(), "S3CRET") {
				t.Errorf("the log is %s", logged.String())
			}
		})
	}
}

func TestRequestID_NoResponse(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.CutBefore()})
	client := newClient(t, srv.Endpoint(), &tus.Options{RequestIDHeader: "X-Request-ID", Retry: tus.RetryPolicy{MaxRetries: -1}})
	_, err := client.Upload(testContext(t), tus.Bytes([]byte("x")), nil)
	var e *tus.Error
	sent := srv.Requests()[len(srv.Requests())-1].Header.Get("X-Request-ID")
	if !errors.As(err, &e) || e.RequestID != sent || sent == "" {
		t.Errorf("the error is %v, the ID %q", err, sent)
	}
}

func TestRequestIDHeader_InvalidNameIsRefused(t *testing.T) {
	for _, name := range []string{"a b", "X-ID:", "Upload-Offset", "Content-Length", "Authorization", "Cookie", "tus-resumable", "host", "User-Agent", "Accept-Encoding"} {
		_, err := tus.NewClient("http://example.org/files/", &tus.Options{RequestIDHeader: name})
		if !errors.Is(err, tus.ErrInvalidInput) || !strings.Contains(err.Error(), "Options.RequestIDHeader") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
