package tus_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
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
