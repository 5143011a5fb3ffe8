package httpsource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
)

func TestNew_InvalidInputFails(t *testing.T) {
	for _, url := range []string{
		"", "data.bin", "/data.bin", "ftp://example.org/x", "file:///etc/passwd", "http://", "http:///x", "https://:443/x",
		"http://example.org:port/x", "http://exa mple.org/x", "http://example.org/\r\nX: y", "mailto:secret@example.org", "http://user:secret@/x?secret", "://secret",
	} {
		_, err := httpsource.New(url, nil)
		if !errors.Is(err, tus.ErrInvalidInput) || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("error for %q is %v", url, err)
		}
	}
	for name, value := range map[string]string{
		"X-Token": "secret\r\nX-Forged: y", "X-Nul": "secret\x00", "X-Del": "secret\x7f", "": "x", "Bad Name": "x", "Bad:": "x", "Bäd": "x",
		"X\r\nY": "x", "Range": "bytes=0-5", "if-range": "x", "Accept-Encoding": "gzip", "If-None-Match": "*", "Content-Length": "5",
	} {
		_, err := httpsource.New("http://example.org/", &httpsource.Options{Header: http.Header{name: {value}}})
		if !errors.Is(err, tus.ErrInvalidInput) || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("error for header %q is %v", name, err)
		}
	}
}

func TestHeader_IsSentWithEveryRequest(t *testing.T) {
	served := newSite(randomBytes(10_000))
	header := http.Header{"authorization": {"Bearer secret"}, "x-two": {"1"}, "X-Two": {"1"}, "Host": {"virtual.example.org"}, "X-None": nil}
	source := newSource(t, served.start(t), &httpsource.Options{Header: header})
	header.Set("X-Two", "changed afterwards")
	stat(t, source)
	wantRead(t, source, 0, served.data)
	stat(t, source)
	requests := served.requests()
	if len(requests) != 3 {
		t.Errorf("%d requests", len(requests))
	}
	for _, r := range requests {
		if r.Header.Get("Authorization") != "Bearer secret" || fmt.Sprint(r.Header["X-Two"]) != "[1 1]" || r.Host != "virtual.example.org" {
			t.Errorf("request to %q has the header %v", r.Host, r.Header)
		}
	}
}

func TestNew_UserinfoIsBasicAuthentication(t *testing.T) {
	for _, test := range []struct {
		header http.Header
		want   string
	}{{nil, "Basic dXNlcjpwQHNz"}, {http.Header{"Authorization": {"Bearer token"}}, "Bearer token"}} {
		served := newSite(randomBytes(10))
		url := strings.Replace(served.start(t), "http://", "http://user:p%40ss@", 1)
		stat(t, newSource(t, url, &httpsource.Options{Header: test.header}))
		if got := served.requests()[0].Header.Get("Authorization"); got != test.want {
			t.Errorf("Authorization is %q, want %q", got, test.want)
		}
	}
}

// redirecting starts a server that redirects every request to location.
func redirecting(t *testing.T, status int, location string) *site {
	t.Helper()
	s := newSite(nil)
	s.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		w.Header()["Location"] = []string{location}
		w.WriteHeader(status)
		return true
	}
	return s
}

func TestRedirect_OtherOriginGetsNoHeader(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		data := randomBytes(10_000)
		store := newSite(data)
		front := redirecting(t, status, strings.Replace(store.start(t), "http://", "http://its:own@", 1)+"?signature=abc")
		source := newSource(t, strings.Replace(front.start(t), "http://", "http://user:pw@", 1), &httpsource.Options{
			Header: http.Header{"X-Token": {"secret"}, "Cookie": {"a=b"}, "Host": {"virtual.example.org"}, "User-Agent": {"custom"}},
		})
		stat(t, source)
		wantRead(t, source, 5000, data[5000:])
		for _, r := range front.requests() {
			if r.Header.Get("X-Token") != "secret" || r.Header.Get("Authorization") == "" {
				t.Errorf("origin got %v", r.Header)
			}
		}
		for _, r := range store.requests() {
			for _, name := range []string{"X-Token", "Authorization", "Cookie", "Referer"} {
				if got := r.Header.Get(name); got != "" {
					t.Errorf("%d: other origin got %s %q", status, name, got)
				}
			}
			if r.Host == "virtual.example.org" || r.Header.Get("User-Agent") == "custom" || r.Header.Get("Accept-Encoding") != "identity" {
				t.Errorf("%d: other origin got host %q, %v", status, r.Host, r.Header)
			}
			if r.URL.RawQuery != "signature=abc" {
				t.Errorf("query is %q", r.URL.RawQuery)
			}
		}
		// Links expire, so each request starts at the URL itself.
		front.wantRanges(t, "bytes=0-0", "bytes=5000-")
		store.wantRanges(t, "bytes=0-0", "bytes=5000-")
	}
}

func TestRedirect_SameOriginGetsHeader(t *testing.T) {
	data := randomBytes(10_000)
	served := newSite(data)
	served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.URL.Path == "/data.bin" {
			w.Header().Set("Location", "real#fragment")
			w.WriteHeader(302)
			return true
		}
		return false
	}
	wantRead(t, newSource(t, served.start(t), &httpsource.Options{Header: http.Header{"X-Token": {"secret"}}}), 0, data)
	for _, r := range served.requests() {
		if r.Header.Get("X-Token") != "secret" {
			t.Errorf("%s got no header", r.URL)
		}
	}
}

func TestRedirect_DefaultPortIsSameOrigin(t *testing.T) {
	for from, to := range map[string]string{
		"http://example.com/": "http://EXAMPLE.com:80/real", "https://example.com/": "https://example.com:443/real",
		"https://example.com:443/": "https://example.com/real",
	} {
		served := newSite(randomBytes(10))
		served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if r.URL.Path == "/" {
				w.Header().Set("Location", to)
				w.WriteHeader(302)
			}
			return r.URL.Path == "/"
		}
		server := httptest.NewUnstartedServer(served)
		if strings.HasPrefix(from, "https") {
			server.StartTLS()
		} else {
			server.Start()
		}
		defer server.Close()
		client := server.Client()
		client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		}
		stat(t, newSource(t, from, &httpsource.Options{HTTPClient: client, Header: http.Header{"X-Token": {"secret"}}}))
		for _, r := range served.requests() {
			if r.Header.Get("X-Token") != "secret" {
				t.Errorf("%s to %s: no header for %s", from, to, r.URL)
			}
		}
	}
}

func TestRedirect_InvalidFails(t *testing.T) {
	t.Run("without a Location", func(t *testing.T) {
		for _, location := range []string{"", "http://%zz/?secret=abc", ":secret"} {
			served := redirecting(t, 302, location)
			_, err := newSource(t, served.start(t), nil).Stat(testContext(t))
			if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "Location") {
				t.Errorf("%q: error is %v", location, err)
			}
		}
	})
	t.Run("to another scheme", func(t *testing.T) {
		served := redirecting(t, 302, "file:///etc/passwd")
		if _, err := newSource(t, served.start(t), nil).Stat(testContext(t)); err == nil || tus.IsRetryable(err) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("unlimited", func(t *testing.T) {
		served := redirecting(t, 302, "/data.bin")
		if _, err := newSource(t, served.start(t), nil).Stat(testContext(t)); err == nil {
			t.Error("no error")
		}
		if n := len(served.requests()); n != 11 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("from https to http", func(t *testing.T) {
		plain := newSite(randomBytes(10))
		server := httptest.NewTLSServer(redirecting(t, 302, plain.start(t)+"?key=secret"))
		defer server.Close()
		source := newSource(t, server.URL, &httpsource.Options{HTTPClient: server.Client()})
		_, err := source.Stat(testContext(t))
		if err == nil || !strings.Contains(err.Error(), "from https to http://") || strings.Contains(err.Error(), "secret") {
			t.Errorf("error is %v", err)
		}
		if n := len(plain.requests()); n != 0 {
			t.Errorf("%d requests without TLS", n)
		}
	})
}

func TestErrors_OmitSecrets(t *testing.T) {
	header := http.Header{"X-Token": {"secret"}}
	check := func(t *testing.T, err error) {
		t.Helper()
		var e *tus.Error
		if !errors.As(err, &e) || e.Method != "GET" || !strings.HasSuffix(e.URL, "/data.bin") {
			t.Errorf("error is %#v", err)
		}
		if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, "secret") || strings.Contains(text, "me:") {
			t.Errorf("error is %s", text)
		}
	}
	for name, respond := range map[string]func(w http.ResponseWriter){
		"status": func(w http.ResponseWriter) { w.WriteHeader(403); fmt.Fprint(w, "your token secret is wrong") },
		"cut":    func(w http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(randomBytes(10))
			served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool { respond(w); return true }
			url := strings.Replace(served.start(t), "http://", "http://me:secret@", 1) + "?sig=secret#secret"
			_, err := newSource(t, url, &httpsource.Options{Header: header}).Stat(testContext(t))
			check(t, err)
		})
	}
	t.Run("no listener", func(t *testing.T) {
		source := newSource(t, "http://me:secret@127.0.0.1:1/data.bin?sig=secret", &httpsource.Options{Header: header})
		_, err := source.Stat(testContext(t))
		check(t, err)
		if !tus.IsRetryable(err) {
			t.Errorf("%v is not temporary", err)
		}
	})
}

func TestReader_UntrustedCertificateIsNotRetried(t *testing.T) {
	server := httptest.NewUnstartedServer(newSite(randomBytes(10)))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails
	server.StartTLS()
	defer server.Close()
	retries := 0
	source := newSource(t, server.URL, &httpsource.Options{OnRetry: func(tus.Retry) { retries++ }})
	if _, err := source.Open(testContext(t), 0); err == nil || retries != 0 {
		t.Errorf("%d retries, error %v", retries, err)
	}
}

// The trace in the context belongs to the request to the tus server: a stall timer may use
// its connection.
func TestUpload_TraceOmitsSourceRequests(t *testing.T) {
	type key struct{}
	var seen any
	ctx := context.WithValue(testContext(t), key{}, "value")
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { t.Error("a connection was traced") },
	})
	transport := tus.NewTransport()
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		seen = r.Context().Value(key{})
		return transport.RoundTrip(r)
	})}
	defer transport.CloseIdleConnections()
	source := newSource(t, newSite(randomBytes(10)).start(t), &httpsource.Options{HTTPClient: client})
	r, err := source.Open(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if seen != "value" {
		t.Errorf("other values of the context became %v", seen)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestHTTPClient_DecompressionFails(t *testing.T) {
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, ProtoMajor: 1, ContentLength: -1, Uncompressed: true, Request: r,
			Header: http.Header{"Etag": {`"v1"`}}, TransferEncoding: []string{"chunked"}, Body: http.NoBody,
		}, nil
	})}
	_, err := newSource(t, "http://example.org/", &httpsource.Options{HTTPClient: client}).Stat(testContext(t))
	if err == nil || !strings.Contains(err.Error(), "decompresses") {
		t.Fatalf("error is %v", err)
	}
}

func TestUpload_ClosesBodiesAndEndsRequests(t *testing.T) {
	served := newSite(randomBytes(100_000))
	statuses := map[int]int{1: 503, 3: 302, 5: 404}
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		status := statuses[n]
		switch {
		case status == 302:
			http.Redirect(w, r, "/elsewhere", status)
		case status != 0:
			w.WriteHeader(status)
		case n == 2:
			served.serve(cutAfter(w, 10_000), r)
		}
		return n == 2 || status != 0
	}
	transport := tus.NewTransport()
	defer transport.CloseIdleConnections()
	var bodies []*watchedBody
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := transport.RoundTrip(r)
		if err == nil {
			b := &watchedBody{ReadCloser: resp.Body, request: r}
			bodies = append(bodies, b)
			resp.Body = b
		}
		return resp, err
	})}
	source := newSource(t, served.start(t), &httpsource.Options{HTTPClient: client})
	r, err := source.Open(testContext(t), 0) // a probe, a refusal, a broken body
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 50_000)); err != nil { // a redirect, an unread body
		t.Fatal(err)
	}
	r.Close()
	if _, err := source.Open(testContext(t), 5); err == nil {
		t.Fatal("no error")
	}
	if len(bodies) != 6 {
		t.Errorf("%d bodies", len(bodies))
	}
	for i, b := range bodies {
		if !b.closed || b.request.Context().Err() == nil {
			t.Errorf("body %d: closed %v, context %v", i, b.closed, b.request.Context().Err())
		}
	}
}

type watchedBody struct {
	io.ReadCloser
	request *http.Request
	closed  bool
}

func (b *watchedBody) Close() error {
	b.closed = true
	return b.ReadCloser.Close()
}

func TestHTTPClient_IsNotChanged(t *testing.T) {
	transport := tus.NewTransport()
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	stat(t, newSource(t, newSite(randomBytes(10)).start(t), &httpsource.Options{HTTPClient: client}))
	if client.CheckRedirect != nil {
		t.Error("CheckRedirect was set")
	}
}

func TestReader_HTTP2(t *testing.T) {
	data := randomBytes(1 << 20)
	served := newSite(data)
	server := httptest.NewUnstartedServer(served)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	source := newSource(t, server.URL, &httpsource.Options{HTTPClient: server.Client()})
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if r.ProtoMajor != 2 {
			t.Errorf("protocol is %s", r.Proto)
		}
		if n == 1 {
			served.serve(cutAfter(w, 300_000), r)
		}
		return n == 1
	}
	wantRead(t, source, 0, data)
	served.wantRanges(t, "bytes=0-0", "bytes=0-", "bytes=300000-")
}
