package doctor_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/doctor"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// startProxy starts a proxy before h that buffers bodies, refuses those above a limit with
// status, and adds header fields. It returns its URL.
func startProxy(t *testing.T, h http.Handler, limit int64, status int, header http.Header) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		if r.ContentLength > limit {
			w.WriteHeader(status)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/files/"
}

func TestProxies_HeaderSelectsSetting(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		header       http.Header
		stream, size string
	}{
		"unknown":         {nil, "(nginx: proxy_request_buffering off; lighttpd", "proxy or server (nginx: client_max_body_size)"},
		"other Server":    {http.Header{"Server": {"cloud"}}, "(nginx: proxy_request_buffering off; lighttpd", "(nginx: client_max_body_size)"},
		"nginx":           {http.Header{"Server": {"nginx"}}, "in nginx, set proxy_request_buffering off", "(nginx: client_max_body_size 0"},
		"OpenResty":       {http.Header{"Server": {"openresty/1.25.3.2"}}, "in nginx, set proxy_request_buffering off", "(nginx: client_max_body_size 0"},
		"lighttpd":        {http.Header{"Server": {"lighttpd/1.4.69"}}, "in lighttpd, set server.stream-request-body = 2", "(lighttpd: server.max-request-size = 0"},
		"Apache":          {http.Header{"Server": {"Apache/2.4.71 (Debian)"}}, "in Apache, set SecRequestBodyAccess Off", "SecRequestBodyLimit"},
		"Caddy":           {http.Header{"Server": {"Caddy"}}, "in Caddy, remove request_buffers", "(Caddy: max_size in request_body)"},
		"Envoy":           {http.Header{"Server": {"envoy"}}, "in Envoy, remove the buffer filter", "(Envoy: max_request_bytes"},
		"Squid":           {http.Header{"Via": {"1.1 localhost (squid/5.7)"}}, "(nginx: proxy_request_buffering off; lighttpd", "(Squid: request_body_max_size 0)"},
		"Via over Server": {http.Header{"Server": {"nginx"}, "Via": {"1.1 varnish (Varnish/7.1)"}}, "in Varnish, do not call std.cache_req_body", "(Varnish: "},
		"last of Via":     {http.Header{"Via": {"1.1 varnish (Varnish/7.1), 1.1 Caddy"}}, "in Caddy, remove request_buffers", "(Caddy: "},
		"Via of others":   {http.Header{"Server": {"lighttpd"}, "Via": {"1.1 google"}}, "in lighttpd, set", "(lighttpd: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := tustest.NewHandler(nil)
			report := run(t, doctor.Config{Endpoint: startProxy(t, h, 3<<20, http.StatusRequestEntityTooLarge, test.header)})
			want(t, report, outcomes{"resume": doctor.OK, "buffering": doctor.Warning, "body-size": doctor.Warning})
			wantText(t, report, "buffering", test.stream, "until then, requests become smaller after an interruption")
			wantText(t, report, "body-size", test.size, "--min-chunk-size")
			wantVerdict(t, report, true, "--chunk-size 2MiB")
			wantDeleted(t, h, report)
		})
	}
}

func TestProxies_LargerRequestConfirmsBuffering(t *testing.T) {
	t.Parallel()
	h := tustest.NewHandler(nil)
	report := run(t, doctor.Config{Endpoint: startProxy(t, h, 1<<30, 0, nil)})
	wantText(t, report, "buffering", "4 MiB were sent")
	wantVerdict(t, report, true, "")
	wantDeleted(t, h, report)
}

// IIS responds 404 to a body above maxAllowedContentLength.
func TestProxies_RefusalWithoutStatus413IsExplained(t *testing.T) {
	t.Parallel()
	h := tustest.NewHandler(nil)
	report := run(t, doctor.Config{Endpoint: startProxy(t, h, 3<<20, http.StatusNotFound, http.Header{"Server": {"Microsoft-IIS/10.0"}})})
	wantText(t, report, "body-size", "404 Not Found", "(IIS: maxAllowedContentLength)")
	wantVerdict(t, report, true, "--chunk-size 2MiB")
	wantDeleted(t, h, report)
}

func TestProxies_LimitOfServerIsNotThatOfProxy(t *testing.T) {
	t.Parallel()
	h := tustest.NewHandler(nil)
	h.Inject(always("PATCH", func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if r.ContentLength > 3<<20 {
			tustest.Respond(413, "", "Tus-Resumable", "1.0.0")(w, r, h)
			return
		}
		h.Serve(w, r)
	}))
	report := run(t, doctor.Config{Endpoint: startProxy(t, h, 1<<30, 0, http.Header{"Server": {"nginx"}})})
	wantText(t, report, "body-size", "raise the limit of the server")
}

// Varnish asks for the upload with GET, whose response has no Upload-Offset.
func TestProxies_HeadWithoutOffsetIsExplained(t *testing.T) {
	t.Parallel()
	h := tustest.NewHandler(nil)
	h.Inject(always("HEAD", tustest.Respond(200, "", "Via", "1.1 varnish (Varnish/7.1)")))
	report := run(t, doctor.Config{Endpoint: startProxy(t, h, 1<<30, 0, nil)})
	want(t, report, outcomes{"resume": doctor.No})
	wantText(t, report, "resume", "Varnish turns HEAD into GET", "return (pass) in vcl_recv")
}
