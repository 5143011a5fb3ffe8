package tus_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// planted is part of every secret in these tests. A text that contains it leaks one.
const planted = "PLANTED"

// secretOptions are credentials of each kind.
func secretOptions() *tus.Options {
	return &tus.Options{
		Header: http.Header{
			"Authorization": {"Bearer PLANTED-bearer-token"},
			"Cookie":        {"session=PLANTED-session; other=PLANTED-other"},
			"x-api-key":     {"PLANTED-api-key"},
		},
		Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
			r.Header.Set("X-Signature", "PLANTED-signature")
			return nil
		}},
	}
}

var secretHeaders = []string{"Authorization", "Cookie", "X-Api-Key", "X-Signature"}

// wantSecrets fails unless the request carried all the credentials.
func wantSecrets(t testing.TB, r tustest.Request) {
	t.Helper()
	for _, name := range secretHeaders {
		if !strings.Contains(r.Header.Get(name), planted) {
			t.Errorf("%s %s lacks %s", r.Method, r.Path, name)
		}
	}
}

// wantNoSecrets fails if anything of the credentials was sent.
func wantNoSecrets(t testing.TB, r tustest.Request) {
	t.Helper()
	for name, values := range r.Header {
		if slices.Contains(secretHeaders, name) || strings.Contains(strings.Join(values, " "), planted) {
			t.Errorf("%s %s carries %s: %q", r.Method, r.Path, name, values)
		}
	}
}

// uploadOn creates an upload on srv with another client.
func uploadOn(t testing.TB, srv *tustest.Server, data []byte) (url string) {
	t.Helper()
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{
		StopAt: 1, CreationLimit: -1})
	wantError(t, err, tus.ErrPaused)
	srv.Truncate(res.URL, 0)
	return res.URL
}

// routed returns an HTTP client that connects to srv for every host and port.
func routed(t testing.TB, srv *tustest.Server) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, srv.HTTP.Listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestCredentials_OnlyToEndpointOrigin(t *testing.T) {
	for location, same := range map[string]bool{
		"/files/00000001":                           true,
		"00000001":                                  true,
		"//a.test/files/00000001":                   true,
		"http://a.test/files/00000001":              true,
		"http://a.test:80/files/00000001":           true,
		"HTTP://A.Test/files/00000001":              true,
		"http://someone:else@a.test/files/00000001": true,
		"http://a.test:8080/files/00000001":         false,
		"http://b.test/files/00000001":              false,
		"//b.test/files/00000001":                   false,
		"http://a.test.b.test/files/00000001":       false,
		"http://sub.a.test/files/00000001":          false,
		"http://a.test@b.test/files/00000001":       false,
		"http://you:PLANTED@b.test/files/00000001":  false,
		"http://a.test./files/00000001":             false,
		"http://127.0.0.1/files/00000001":           false,
		"http://[::1]/files/00000001":               false,
	} {
		t.Run(location, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", location)})
			opts := secretOptions()
			opts.HTTPClient = routed(t, srv)
			data := randomBytes(3000)
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: tustest.CutAfter(100)}) // makes the client send HEAD
			if _, err := newClient(t, "http://a.test/files/", opts).Upload(testContext(t), tus.Bytes(data), chunked()); err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, "00000001", data)
			for _, r := range srv.Requests() {
				if same || r.Method == "POST" {
					wantSecrets(t, r)
					if got := r.Header.Get("Authorization"); got != "Bearer PLANTED-bearer-token" {
						t.Errorf("Authorization is %q", got)
					}
				} else {
					wantNoSecrets(t, r)
				}
			}
		})
	}
}

func TestCredentials_NotToForeignUploadURL(t *testing.T) {
	home, foreign := tustest.NewServer(t, nil), tustest.NewServer(t, nil)
	data := randomBytes(3000)
	target := uploadOn(t, foreign, data)
	known := len(foreign.Requests())
	client := newClient(t, home.Endpoint(), secretOptions())
	if _, err := client.Resume(testContext(t), target, tus.Bytes(data), chunked()); err != nil {
		t.Fatal(err)
	}
	wantStored(t, foreign.Handler, target, data)
	if _, err := client.Info(testContext(t), target); err != nil {
		t.Fatal(err)
	}
	if err := client.Terminate(testContext(t), target); err != nil {
		t.Fatal(err)
	}
	seen := foreign.Requests()[known:]
	if len(seen) != 6 { // HEAD, 3 PATCH, HEAD, DELETE
		t.Errorf("foreign server saw %d requests", len(seen))
	}
	for _, r := range seen {
		wantNoSecrets(t, r)
	}
	wantMethods(t, home.Handler)
}

func TestCredentials_ToTrustedOrigin(t *testing.T) {
	for _, spelling := range []string{"%s", "%s/", "%s/any/path?and=query", " %s "} {
		home, other := tustest.NewServer(t, nil), tustest.NewServer(t, nil)
		data := randomBytes(3000)
		target := uploadOn(t, other, data)
		known := len(other.Requests())
		home.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", target)})
		opts := secretOptions()
		opts.TrustedOrigins = []string{fmt.Sprintf(spelling, other.HTTP.URL)}
		if _, err := newClient(t, home.Endpoint(), opts).Upload(testContext(t), tus.Bytes(data), chunked()); err != nil {
			t.Fatal(err)
		}
		wantStored(t, other.Handler, target, data)
		for _, r := range other.Requests()[known:] {
			wantSecrets(t, r)
		}
	}
}

func TestRedirect_KeepsMethodAndBodyNotCredentials(t *testing.T) {
	for _, status := range []int{307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			home, away := tustest.NewServer(t, nil), tustest.NewServer(t, nil)
			home.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				faults.RespondAfter(status, "moved", "Location", away.HTTP.URL+r.URL.Path)(w, r, h)
			}})
			client := newClient(t, home.Endpoint(), secretOptions())
			data := randomBytes(3000)
			res, err := client.Upload(testContext(t), tus.Bytes(data), nil) // OPTIONS, POST with the bytes
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, away.Handler, res.URL, data)
			if !strings.HasPrefix(res.URL, away.HTTP.URL) {
				t.Errorf("URL is %s, want it relative to the server that responded", res.URL)
			}
			// From here, the first server redirects again.
			target := home.HTTP.URL + "/files/00000002"
			uploadOn(t, away, data)
			if _, err := client.Resume(testContext(t), target, tus.Bytes(data), chunked()); err != nil {
				t.Fatal(err)
			}
			wantStored(t, away.Handler, target, data)
			if err := client.Terminate(testContext(t), target); err != nil {
				t.Fatal(err)
			}
			wantMethods(t, home.Handler, "OPTIONS", "POST", "HEAD", "PATCH", "PATCH", "PATCH", "DELETE")
			for _, r := range home.Requests() {
				wantSecrets(t, r)
			}
			for _, r := range away.Requests() {
				wantNoSecrets(t, r)
			}
		})
	}
}

func TestRedirect_SameOriginKeepsCredentials(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(
		tustest.Fault{Method: "POST", Action: tustest.Respond(308, "", "Location", "/files")},
		tustest.Fault{Method: "PATCH", Action: faults.RespondAfter(307, "", "Location", "./00000001?moved")},
	)
	data := randomBytes(3000)
	res, err := newClient(t, srv.Endpoint(), secretOptions()).Upload(testContext(t), tus.Bytes(data), whole())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	wantMethods(t, srv.Handler, "POST", "POST", "PATCH", "PATCH")
	for _, r := range srv.Requests() {
		wantSecrets(t, r)
	}
}

func TestRedirect_UnusableEndsUpload(t *testing.T) {
	for name, test := range map[string]struct {
		action   tustest.Action
		requests int // at most
	}{
		"loop":           {tustest.Respond(307, "", "Location", "/files/"), 10},
		"301":            {tustest.Respond(301, "", "Location", "/files/other"), 1},
		"302":            {tustest.Respond(302, "", "Location", "/files/other"), 1},
		"303":            {tustest.Respond(303, "", "Location", "/files/other"), 1},
		"304":            {tustest.Respond(304, ""), 1},
		"another scheme": {tustest.Respond(307, "", "Location", "ftp://example.org/"), 1},
		"without a host": {tustest.Respond(308, "", "Location", "http://"), 1},
		"script":         {tustest.Respond(308, "", "Location", "javascript:alert(1)"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Times: -1, Action: test.action})
			_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(3000)), whole())
			wantError(t, err, tus.ErrProtocol)
			if n := len(srv.Requests()); n > test.requests {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

// tlsServer starts a tus server with TLS, and returns options of a client that trusts its
// certificate.
func tlsServer(t *testing.T) (h *tustest.Handler, endpoint string, opts *tus.Options) {
	h = tustest.NewHandler(nil)
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of refused handshakes
	srv.StartTLS()
	t.Cleanup(srv.Close)
	t.Cleanup(h.Release)
	opts = secretOptions()
	opts.HTTPClient = srv.Client()
	return h, srv.URL + "/files/", opts
}

func TestUploadOverHTTPS(t *testing.T) {
	h, endpoint, opts := tlsServer(t)
	data := randomBytes(300_000)
	for range 2 {
		res, err := newClient(t, endpoint, opts).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, res.URL, data)
	}
	for _, r := range h.Requests() {
		wantSecrets(t, r)
	}
	// An untrusted certificate is not retried.
	opts.HTTPClient = nil
	res, err := newClient(t, endpoint, opts).Upload(testContext(t), tus.Bytes(data), whole())
	if err == nil || res.Stats.Retries != 0 || strings.Contains(err.Error(), planted) {
		t.Errorf("%d retries, error %v", res.Stats.Retries, err)
	}
}

func TestStepDownFromHTTPSIsRefused(t *testing.T) {
	data := randomBytes(3000)
	for name, fault := range map[string]func(target string) tustest.Fault{
		"Location": func(target string) tustest.Fault {
			return tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", target)}
		},
		"redirect": func(target string) tustest.Fault {
			return tustest.Fault{Method: "PATCH", Action: faults.RespondAfter(307, "", "Location", target)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			plain := tustest.NewServer(t, nil)
			target := uploadOn(t, plain, data)
			known := len(plain.Requests())

			h, endpoint, opts := tlsServer(t)
			h.Inject(fault(target))
			_, err := newClient(t, endpoint, opts).Upload(testContext(t), tus.Bytes(data), whole())
			wantError(t, err, tus.ErrProtocol)
			if n := len(plain.Requests()) - known; n != 0 {
				t.Errorf("%d requests were sent in the clear", n)
			}

			h.Inject(fault(target))
			opts.TrustedOrigins = []string{plain.HTTP.URL}
			if _, err := newClient(t, endpoint, opts).Upload(testContext(t), tus.Bytes(data), whole()); err != nil {
				t.Fatal(err)
			}
			wantStored(t, plain.Handler, target, data)
		})
	}
}

func TestEndpoint_UserinfoBecomesBasicAuth(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", From: 1000, Times: -1, Action: tustest.Respond(403, "")})
	endpoint := strings.Replace(srv.Endpoint(), "http://", "http://alice:PLANTED%20pass@", 1)
	client := newClient(t, endpoint, nil)
	if client.Endpoint() != srv.Endpoint() {
		t.Errorf("Endpoint is %q", client.Endpoint())
	}
	var seen recorder
	hooks := seen.hooks()
	var events []string
	hooks.OnStateChange = func(_ *tus.Uploader, _, _ tus.State, err error) { events = append(events, fmt.Sprintf("%+v", err)) }
	res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), &tus.UploadOptions{ChunkSize: 1000, Hooks: hooks})
	wantError(t, err, tus.ErrUnauthorized)
	for _, r := range srv.Requests() {
		req := http.Request{Header: r.Header}
		if user, password, ok := req.BasicAuth(); !ok || user != "alice" || password != "PLANTED pass" {
			t.Errorf("%s has Authorization %q", r.Method, r.Header.Get("Authorization"))
		}
	}
	for _, text := range append(events, err.Error(), fmt.Sprintf("%+v", res), fmt.Sprint(seen.urls)) {
		if strings.Contains(text, planted) || strings.Contains(text, "alice") {
			t.Errorf("password shows in %s", text)
		}
	}

	other := tustest.NewServer(t, nil)
	explicit := newClient(t, strings.Replace(other.Endpoint(), "http://", "http://me:secret@", 1), &tus.Options{Header: http.Header{"authorization": {"Bearer x"}}})
	if _, err := explicit.Upload(testContext(t), tus.Bytes(nil), nil); err != nil {
		t.Fatal(err)
	}
	if got := other.Requests()[0].Header.Values("Authorization"); !slices.Equal(got, []string{"Bearer x"}) {
		t.Errorf("Authorization is %q", got)
	}
}

// echo responds with the whole request, as debug pages of servers do.
func echo(status int) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		fmt.Fprintf(w, "<pre>%s %s\n", r.Method, r.URL)
		for _, name := range secretHeaders {
			fmt.Fprintf(w, "%s: %s\n", name, r.Header.Get(name))
		}
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		fmt.Fprintf(w, "invalid token %q, token=%s\n", token, token)
	}
}

func TestNoSecretShowsInErrorsAndEvents(t *testing.T) {
	const query = "?token=PLANTED-in-query&x=1"
	data := randomBytes(3000)
	for name, faults := range map[string][]tustest.Fault{
		"POST refused":    {{Method: "POST", Times: -1, Action: echo(403)}},
		"POST fails":      {{Method: "POST", Times: -1, Action: echo(500)}},
		"POST redirected": {{Method: "POST", Times: -1, Action: echo(302)}},
		"no Location":     {{Method: "POST", Times: -1, Action: echo(201)}},
		"PATCH refused":   {{Method: "PATCH", Times: -1, Action: echo(400)}},
		"PATCH fails":     {{Method: "PATCH", Times: -1, Action: echo(502)}},
		"PATCH garbage":   {{Method: "PATCH", Times: -1, Action: echo(200)}},
		"PATCH gone":      {{Method: "PATCH", Times: -1, Action: echo(404)}},
		"PATCH 412":       {{Method: "PATCH", Times: -1, Action: echo(412)}},
		"PATCH cut":       {{Method: "PATCH", Times: -1, Action: tustest.CutBefore()}},
		"HEAD refused":    {{Method: "PATCH", Action: tustest.CutBefore()}, {Method: "HEAD", Times: -1, Action: echo(403)}},
		"bad Location":    {{Method: "POST", Times: -1, Action: tustest.SetHeader("Location", "ftp://me:PLANTED@host/path"+query)}},
		"bad redirect":    {{Method: "POST", Times: -1, Action: tustest.Respond(307, "", "Location", "http://me:PLANTED@[::1"+query)}},
		"redirect loop":   {{Method: "POST", Times: -1, Action: faults.RespondAfter(307, "", "Location", "/files/"+query)}},
		"query":           {{Method: "POST", Action: tustest.SetHeader("Location", "/files/00000001"+query)}, {Method: "PATCH", Times: -1, Action: echo(403)}},
		"query, cut":      {{Method: "POST", Times: -1, Action: tustest.SetHeader("Location", "/files/00000001"+query)}, {Method: "PATCH", Times: -1, Action: tustest.CutBefore()}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(faults...)
			var texts []string
			note := func(what any) {
				texts = append(texts, fmt.Sprintf("%v", what), fmt.Sprintf("%+v", what), fmt.Sprintf("%#v", what))
			}
			opts := secretOptions()
			opts.Hooks.OnRetry = func(_ *tus.Uploader, r tus.Retry) { note(r); note(r.Err) }
			opts.Hooks.OnStateChange = func(_ *tus.Uploader, _, _ tus.State, err error) { note(err) }
			opts.Hooks.OnProgress = func(_ *tus.Uploader, p tus.Progress) { note(p) }
			res, err := newClient(t, srv.Endpoint()+query, opts).Upload(testContext(t), tus.Bytes(data), chunked())
			if err == nil {
				t.Fatal("upload succeeded")
			}
			note(err)
			note(res.Stats)
			var e *tus.Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %#v", err)
			}
			note(*e)
			note(e.Err)
			for _, text := range texts {
				if strings.Contains(text, planted) {
					t.Errorf("secret shows in %s", text)
				}
			}
		})
	}
}

func TestNoSecretShowsInEchoes(t *testing.T) {
	// Each secret has its own prefix, so that a part of it is found as well.
	const token, session, password = "PLANTED-token-0123456789", "PLANTED-session-0123456789", "PLANTED-password-0123456789"
	for name, action := range map[string]tustest.Action{
		"header of the versions": tustest.Respond(412, "", "Tus-Version", "Bearer "+token),
		"header of the offset":   faults.RespondAfter(204, "", "Upload-Offset", token),
		"header of the redirect": faults.RespondAfter(307, "", "Location", "ftp://host/"+token),
		"status line": func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				io.WriteString(conn, "HTTP/1.1 "+token+" no status\r\n\r\n")
				conn.Close()
			}
		},
		"at the end of the excerpt": tustest.Respond(403, strings.Repeat("x", 290)+" "+token),
		"value of a cookie":         tustest.Respond(403, "unknown session "+session),
		"decoded password":          tustest.Respond(403, "wrong password "+password+" of alice"),
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: action})
			for _, header := range []http.Header{
				{"Authorization": {"Bearer " + token}, "Cookie": {"theme=dark; session=" + session}},
				{"X-Token": {token}, "Cookie": {"theme=dark; session=" + session}},
			} {
				endpoint := strings.Replace(srv.Endpoint(), "http://", "http://alice:"+password+"@", 1)
				if strings.Contains(name, "password") {
					header.Del("Authorization")
				}
				_, err := newClient(t, endpoint, &tus.Options{Header: header}).Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
				if text := fmt.Sprintf("%v %+v %#v", err, err, err); err == nil || strings.Contains(text, "PLANT") {
					t.Errorf("error is %s", text)
				}
			}
		})
	}
}

func TestNoSecretShowsInPrintedResponse(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	opts := secretOptions()
	opts.Hooks.AfterResponse = func(_ *http.Request, resp *tus.Response) {
		if text := fmt.Sprintf("%v %+v %#v", resp, resp, *resp); strings.Contains(text, planted) {
			t.Errorf("secret shows in %s", text)
		}
	}
	client := newClient(t, srv.Endpoint()+"?token=PLANTED", opts)
	res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
	if err != nil {
		t.Fatal(err)
	}
	info, err := client.Info(testContext(t), res.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []any{*res.Creation, *res.LastPatch, *info.Response, info, *res} {
		if text := fmt.Sprintf("%v %+v %#v", what, what, what); strings.Contains(text, planted) {
			t.Errorf("secret shows in %s", text)
		}
	}
}

func TestNoSecretShowsInNetworkErrors(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Close()
	for _, endpoint := range []string{
		srv.Endpoint() + "?token=PLANTED",
		strings.Replace(srv.Endpoint(), "http://", "http://me:PLANTED@", 1) + "?token=PLANTED#PLANTED",
	} {
		client := newClient(t, endpoint, secretOptions())
		_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
		_, capsErr := client.Capabilities(testContext(t))
		_, infoErr := client.Info(testContext(t), endpoint)
		for _, err := range []error{err, capsErr, infoErr, client.Terminate(testContext(t), endpoint)} {
			if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), planted) {
				t.Errorf("error is %#v", err)
			}
			var u *url.Error
			if errors.As(err, &u) {
				t.Errorf("error wraps a url.Error, which has the whole URL: %v", u)
			}
		}
	}
}

func TestInvalidHeadersAreRefusedBeforeAnyRequest(t *testing.T) {
	for name, header := range map[string]http.Header{
		"CR LF in a value":      {"X-Key": {"PLANTED\r\nX-Forged: yes"}},
		"LF in a value":         {"Authorization": {"Bearer PLANTED\n"}},
		"CR in a second value":  {"X-Key": {"fine", "PLANTED\r"}},
		"NUL in a value":        {"X-Key": {"PLANTED\x00"}},
		"DEL in a value":        {"X-Key": {"PLANTED\x7f"}},
		"CR LF in the host":     {"Host": {"PLANTED\r\nX-Forged: yes"}},
		"CR LF in a name":       {"X-Key\r\nX-Forged": {"yes"}},
		"colon in a name":       {"X-Key:": {"yes"}},
		"space in a name":       {"X Key": {"yes"}},
		"umlaut in a name":      {"X-Schlüssel": {"yes"}},
		"empty name":            {"": {"yes"}},
		"protocol version":      {"Tus-Resumable": {"0.2.2"}},
		"protocol, lower case":  {"tus-resumable": {"0.2.2"}},
		"type of the body":      {"Content-Type": {"text/plain"}},
		"length of the body":    {"content-length": {"5"}},
		"encoding of the body":  {"Transfer-Encoding": {"chunked"}},
		"trailer after a body":  {"Trailer": {"Upload-Checksum"}},
		"offset":                {"Upload-Offset": {"5"}},
		"length":                {"upload-length": {"5"}},
		"deferred length":       {"Upload-Defer-Length": {"1"}},
		"metadata":              {"Upload-Metadata": {"a YQ=="}},
		"concatenation":         {"Upload-Concat": {"partial"}},
		"checksum":              {"Upload-Checksum": {"sha1 AAAA"}},
		"another method":        {"X-HTTP-Method-Override": {"DELETE"}},
		"header and its shadow": {"Content-type": {"a"}, "Content-Type": {"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tus.NewClient("http://127.0.0.1:1/files/", &tus.Options{Header: header})
			wantError(t, err, tus.ErrInvalidInput)
			if strings.Contains(err.Error(), planted) || strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("error is %q", err)
			}
		})
	}
	t.Run("added by a hook", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		client := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
			r.Header["X-Key"] = []string{"PLANTED\r\nX-Forged: yes"}
			return nil
		}}})
		res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked())
		wantError(t, err, tus.ErrInvalidInput)
		if strings.Contains(err.Error(), planted) || res.Stats.Retries != 0 {
			t.Errorf("after %d retries: %v", res.Stats.Retries, err)
		}
		wantMethods(t, srv.Handler)
	})
}

func TestOptionsHeader_HostIsSent(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	var hosts []string
	srv.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		hosts = append(hosts, r.Host)
		h.Serve(w, r)
	}})
	if _, err := newClient(t, srv.Endpoint(), &tus.Options{Header: http.Header{"Host": {"virtual.test"}}}).Upload(testContext(t), tus.Bytes(randomBytes(10)), whole()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(hosts, []string{"virtual.test", "virtual.test"}) {
		t.Errorf("hosts were %q", hosts)
	}
}

func TestOptionsHeader_IsCopied(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	header := http.Header{"X-Key": {"one", "two"}}
	client := newClient(t, srv.Endpoint(), &tus.Options{Header: header, Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
		r.Header["X-Key"][0] += "!" // must not accumulate
		return nil
	}}})
	header["X-Key"][0] = "changed"
	header.Set("X-Other", "added")
	if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole()); err != nil {
		t.Fatal(err)
	}
	for _, r := range srv.Requests() {
		if got := r.Header.Values("X-Key"); !slices.Equal(got, []string{"one!", "two"}) || r.Header.Get("X-Other") != "" {
			t.Errorf("X-Key is %q", got)
		}
	}
}

func TestResponse_CompressedBodyStaysCompressed(t *testing.T) {
	// A small response must not become a large one in memory.
	var bomb bytes.Buffer
	zipped := gzip.NewWriter(&bomb)
	zipped.Write(make([]byte, 10<<20))
	zipped.Close()
	for name, client := range map[string]*http.Client{"default transport": nil, "decompressing transport": {Transport: &http.Transport{DisableKeepAlives: true}}} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.Respond(403, bomb.String(), "Content-Encoding", "gzip")})
			var body []byte
			_, err := newClient(t, srv.Endpoint(), &tus.Options{HTTPClient: client, Hooks: tus.Hooks{
				AfterResponse: func(_ *http.Request, r *tus.Response) { body = r.Body },
			}}).Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
			wantError(t, err, tus.ErrUnauthorized)
			if !bytes.Equal(body, bomb.Bytes()) {
				t.Errorf("body has %d bytes, %d were sent", len(body), bomb.Len())
			}
		})
	}
}

func TestResponse_EndlessBodyIsCut(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	ended := make(chan int, 1)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("Upload-Offset", fmt.Sprint(n))
		w.WriteHeader(200)
		written := 0
		for {
			n, err := w.Write(make([]byte, 32<<10))
			if written += n; err != nil {
				ended <- written
				return
			}
		}
	}})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(3000)), whole())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(res.LastPatch.Body); n != 64<<10 {
		t.Errorf("body has %d bytes", n)
	}
	<-ended // the connection was closed, not drained
}

func TestResponse_EndlessHeaderIsCut(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 201 Created\r\n")
		for i := 0; err == nil; i++ {
			_, err = fmt.Fprintf(conn, "X-%d: %01000d\r\n", i, i)
		}
	}})
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: tus.RetryPolicy{MaxRetries: -1}}).Upload(testContext(t), tus.Bytes(randomBytes(3000)), whole())
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("error is %v", err)
	}
}

func TestResponse_InterimOffsetIsIgnored(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		w.Header().Set("Upload-Offset", "1")
		for _, status := range []int{104, 103, 104} { // 104: upload resumption supported
			w.WriteHeader(status)
		}
		w.Header().Del("Upload-Offset")
		h.Serve(w, r)
	}})
	data := randomBytes(3000)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.Stats.Retries != 0 {
		t.Fatalf("after %d retries: %v", res.Stats.Retries, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestNewClientFromEnv(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	send := func(t *testing.T, opts *tus.Options) http.Header {
		t.Helper()
		client, err := tus.NewClientFromEnv(opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.CloseIdleConnections)
		if _, err := client.Upload(testContext(t), tus.Bytes(nil), nil); err != nil {
			t.Fatal(err)
		}
		requests := srv.Requests()
		return requests[len(requests)-1].Header
	}
	t.Setenv("TUS_ENDPOINT", srv.Endpoint())
	t.Setenv("TUS_TOKEN", "")
	t.Setenv("TUS_HEADERS", "")
	if got := send(t, nil); got.Get("Authorization") != "" {
		t.Errorf("Authorization is %q", got.Get("Authorization"))
	}
	t.Setenv("TUS_TOKEN", "the-token")
	t.Setenv("TUS_HEADERS", "\nX-Tenant:  seven \r\n  x-many: 1\nX-Many: 2:3\n\n")
	got := send(t, nil)
	if got.Get("Authorization") != "Bearer the-token" || got.Get("X-Tenant") != "seven" || !slices.Equal(got.Values("X-Many"), []string{"1", "2:3"}) {
		t.Errorf("headers are %v", got)
	}
	got = send(t, &tus.Options{Header: http.Header{"authorization": {"Basic x"}, "X-Tenant": {"eight"}, "X-New": {"n"}}})
	if got.Get("Authorization") != "Basic x" || !slices.Equal(got.Values("X-Tenant"), []string{"eight"}) || got.Get("X-New") != "n" || len(got.Values("X-Many")) != 2 {
		t.Errorf("headers are %v", got)
	}
}

func TestNewClientFromEnv_ErrorNamesVariable(t *testing.T) {
	for name, test := range map[string]struct{ endpoint, token, headers, want string }{
		"no endpoint":     {"", "t", "", "TUS_ENDPOINT"},
		"bad endpoint":    {"ftp://example.org/", "", "", "scheme"},
		"header":          {"http://example.org/", "", "Fine: yes\nPLANTED no colon", "TUS_HEADERS"},
		"header name":     {"http://example.org/", "", "n(o)good: PLANTED", "n(o)good"},
		"colon forgotten": {"http://example.org/", "", "Authorization Basic PLANTED:x", "TUS_HEADERS"},
		"protocol header": {"http://example.org/", "", "Tus-Resumable: PLANTED", "Tus-Resumable"},
		"token":           {"http://example.org/", "PLANTED\r\nX: y", "", "Authorization"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TUS_ENDPOINT", test.endpoint)
			t.Setenv("TUS_TOKEN", test.token)
			t.Setenv("TUS_HEADERS", test.headers)
			_, err := tus.NewClientFromEnv(nil)
			wantError(t, err, tus.ErrInvalidInput)
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), planted) {
				t.Errorf("error is %v", err)
			}
		})
	}
}
