package doctor_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/doctor"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestTusd_ResumesWithoutFlags(t *testing.T) {
	t.Parallel()
	tusd, dir := startTusd(t)
	report := run(t, doctor.Config{Endpoint: tusd.URL + "/files/"})
	wantVerdict(t, report, true, "")
	want(t, report, outcomes{
		"connection": doctor.OK, "options": doctor.OK, "extensions": doctor.OK, "authentication": doctor.OK, "clock": doctor.OK,
		"creation": doctor.OK, "location": doctor.OK, "patch": doctor.OK, "resume": doctor.OK, "buffering": doctor.OK,
		"finished": doctor.OK, "expiration": doctor.No, "termination": doctor.OK, "creation-with-upload": doctor.OK,
		"deferred-length": doctor.OK, "checksum": doctor.No, "checksum-trailer": doctor.Unknown, "concatenation": doctor.OK,
		"body-size": doctor.OK, "cleanup": doctor.OK,
	})
	wantText(t, report, "body-size", "8 MiB")
	wantEmpty(t, dir, report)
}

func TestServer_AllExtensionsWork(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, &tustest.Options{Expires: 24 * time.Hour})
	report := run(t, doctor.Config{Endpoint: srv.Endpoint()})
	wantVerdict(t, report, true, "")
	for _, f := range report.Findings {
		if f.Outcome != doctor.OK {
			t.Errorf("%s: %s: %s", f.Check, f.Outcome, f.Detail)
		}
	}
	wantText(t, report, "checksum", "460")
	wantText(t, report, "expiration", "24h")
	wantDeleted(t, srv.Handler, report)
}

func TestServer_TrailingSlashIsFound(t *testing.T) {
	t.Parallel()
	tusd, dir := startTusd(t)
	report := run(t, doctor.Config{Endpoint: tusd.URL + "/files"})
	wantVerdict(t, report, true, "--endpoint "+tusd.URL+"/files/")
	wantText(t, report, "options", "404", "slash")
	wantEmpty(t, dir, report)
}

func TestServer_SlashWithoutOptionsIsFound(t *testing.T) {
	t.Parallel()
	h := tustest.NewHandler(nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions || r.URL.Path == "/files" {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}))
	defer srv.Close()
	report := run(t, doctor.Config{Endpoint: srv.URL + "/files?tenant=7"})
	// The endpoint has a query, which may be secret: no flag repeats it.
	wantVerdict(t, report, true, "--capabilities creation,creation-with-upload,creation-defer-length,checksum:sha256,termination,concatenation")
	wantText(t, report, "creation", "slash", "404")
	want(t, report, outcomes{"options": doctor.Warning, "creation": doctor.Warning})
	wantDeleted(t, h, report)
}

// notTus are servers that are not tus, with what the report must call them.
func notTus(t *testing.T) map[string]struct {
	handler http.Handler
	text    string
} {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<html><title>Welcome</title></html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	respond := func(status int, body string, header ...string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
	}
	return map[string]struct {
		handler http.Handler
		text    string
	}{
		"web server":     {http.StripPrefix("/files", http.FileServer(http.Dir(dir))), `200 without Location, from a web server that is not tus, "Welcome"`},
		"no such page":   {http.NotFoundHandler(), "404 Not Found"},
		"login page":     {respond(200, `<html><title>Hello</title><form><input name=p type="password"></form>`, "Content-Type", "text/html"), "a login page"},
		"login redirect": {respond(302, "", "Location", "https://sso.invalid/login?from=secret"), "a login page"},
		"S3":             {respond(403, `<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`, "Content-Type", "application/xml"), "an S3 endpoint"},
		"WebDAV":         {respond(405, "", "DAV", "1, 2"), "a WebDAV server"},
		"API":            {respond(404, `{"error":"no route"}`, "Content-Type", "application/json"), `no route`},
		"overloaded":     {respond(503, "<html><title>Too busy</title></html>", "Content-Type", "text/html"), "Too busy"},
		"credentials":    {respond(401, "", "WWW-Authenticate", `Basic realm="films"`), "films"},
	}
}

func TestServer_OtherKindsAreIdentified(t *testing.T) {
	t.Parallel()
	for name, test := range notTus(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(test.handler)
			defer srv.Close()
			report := run(t, doctor.Config{Endpoint: srv.URL + "/files/"})
			wantVerdict(t, report, false, "")
			want(t, report, outcomes{"options": doctor.Warning, "creation": doctor.No, "patch": doctor.Unknown, "resume": doctor.Unknown})
			wantText(t, report, "creation", test.text)
			if !strings.Contains(report.Reason, "creation") || strings.Contains(fmt.Sprint(report), "secret") {
				t.Errorf("report is %+v", report)
			}
		})
	}
}

func TestServer_UnreachableKindsAreIdentified(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, and never responds
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	plain := tustest.NewServer(t, nil)
	secure, _, _ := startTLS(t, tustest.NewHandler(nil), false)
	for name, test := range map[string]struct {
		endpoint string
		texts    []string
	}{
		"refused":         {"http://" + closed.Addr().String() + "/files/", []string{"refused", closed.Addr().String()}},
		"no name":         {"http://nosuch.invalid/files/", []string{"nosuch.invalid", "cannot be resolved"}},
		"silent":          {"http://" + silent.Addr().String() + "/files/", []string{"no response", "--timeout"}},
		"no TLS":          {strings.Replace(plain.Endpoint(), "http:", "https:", 1), []string{"does not speak TLS", "http://"}},
		"TLS":             {strings.Replace(secure, "https:", "http:", 1) + "/files/", []string{"requires TLS", "https://"}},
		"own certificate": {secure + "/files/", []string{"unknown authority", "--ca FILE"}},
		"no URL":          {"localhost:1080", []string{"not an http or https URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := doctor.Config{Endpoint: test.endpoint}
			if name == "silent" {
				config.Timeout = 500 * time.Millisecond
			}
			report := run(t, config)
			wantVerdict(t, report, false, "")
			want(t, report, outcomes{"connection": doctor.No})
			wantText(t, report, "connection", test.texts...)
			if !strings.Contains(report.Reason, "connection") {
				t.Errorf("reason is %q", report.Reason)
			}
		})
	}
}

func TestTLS_HTTP2IsReported(t *testing.T) {
	t.Parallel()
	for name, offered := range map[string]bool{"offered": true, "not offered": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, client, offering := startTLS(t, tustest.NewHandler(nil), offered)
			report := run(t, doctor.Config{Endpoint: url + "/files/", Client: client, HTTP2: offering})
			wantVerdict(t, report, true, "")
			if got := finding(t, report, "http2").Detail; strings.HasPrefix(got, "not offered") == offered {
				t.Errorf("detail is %q", got)
			}
			wantText(t, report, "connection", "HTTP/1.1", tls.VersionName(tls.VersionTLS13))
		})
	}
}

// named returns a client that connects to address whatever the host of the URL is.
func named(address string) *http.Client {
	transport := tus.NewTransport()
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &http.Client{Transport: transport}
}

func TestConnection_ClearCredentialsAreReported(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	client := named(srv.HTTP.Listener.Addr().String())
	header := http.Header{"Authorization": {"Bearer token-of-user"}}
	report := run(t, doctor.Config{Endpoint: "http://uploads.example/files/", Client: client, Header: header})
	want(t, report, outcomes{"connection": doctor.Warning})
	wantText(t, report, "connection", "without encryption")
	wantVerdict(t, report, true, "")
	report = run(t, doctor.Config{Endpoint: "http://uploads.example/files/", Client: client})
	want(t, report, outcomes{"connection": doctor.OK})
}

func TestConnection_ProxyFailureIsIdentified(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil) // refuses CONNECT
	for name, test := range map[string]struct {
		proxy, text string
	}{
		"refuses":     {srv.HTTP.URL, "proxy refuses"},
		"unreachable": {"http://127.0.0.1:1", "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, err := url.Parse(test.proxy)
			if err != nil {
				t.Fatal(err)
			}
			transport := tus.NewTransport()
			transport.Proxy = http.ProxyURL(proxy)
			report := run(t, doctor.Config{Endpoint: "https://proxy.example/files/", Client: &http.Client{Transport: transport}})
			want(t, report, outcomes{"connection": doctor.No})
			wantText(t, report, "connection", "the HTTP proxy cannot be used", test.text, "NO_PROXY")
		})
	}
}

func TestClock_DifferenceIsReported(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		ahead time.Duration
		text  string
	}{{time.Hour + 30*time.Second, "ahead"}, {-time.Hour - 30*time.Second, "behind"}} { // of which the test takes a part
		srv := tustest.NewServer(t, nil)
		date := time.Now().Add(test.ahead).UTC().Format(http.TimeFormat)
		srv.Inject(tustest.Fault{Method: "OPTIONS", Times: -1, Action: tustest.SetHeader("Date", date)})
		report := run(t, doctor.Config{Endpoint: srv.Endpoint()})
		want(t, report, outcomes{"clock": doctor.Warning})
		wantText(t, report, "clock", "1h0m", test.text)
		wantVerdict(t, report, true, "")
	}
}

func TestRun_InterruptedDeletesUploads(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	srv.Inject(tustest.Fault{Method: "PATCH", From: 1, Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		cancel()
		h.Serve(w, r)
	}})
	report := doctor.Run(ctx, doctor.Config{Endpoint: srv.Endpoint()})
	if report.Resumes || !strings.Contains(report.Reason, "interrupted") {
		t.Errorf("resumes %v: %s", report.Resumes, report.Reason)
	}
	wantDeleted(t, srv.Handler, report)
	want(t, report, outcomes{"body-size": doctor.Unknown, "cleanup": doctor.OK})
}
