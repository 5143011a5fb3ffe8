package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// frontOf starts a server before a test server; handle is called for each request, and
// next sends it on.
func frontOf(t *testing.T, srv *tustest.Server, handle func(w http.ResponseWriter, r *http.Request, next http.Handler)) *httptest.Server {
	t.Helper()
	home, err := url.Parse(srv.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Host, r.Out.URL.Scheme = home.Host, home.Scheme }}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, proxy) }))
	t.Cleanup(front.Close)
	return front
}

func pathOf(t *testing.T, endpoint string) string {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path
}

func TestMethodOverride_PassesWhatBlocksPatch(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	front := frontOf(t, srv, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPatch {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
	front.Start()
	path, data := randomFile(t, 300_000)
	args := []string{"--endpoint", front.URL + pathOf(t, srv.Endpoint()), "--retries", "0", "--chunk-size", "100KB", path}
	if got := tusup(t, args...); got.code != exitFailed || !strings.Contains(got.stderr, "--method-override") || strings.Contains(got.stderr, "Options.") {
		t.Errorf("outcome is %+v", got)
	}
	if got := tusup(t, append(args, "--method-override")...); got.code != exitOK {
		t.Errorf("outcome is %+v", got)
	}
	if last := srv.Uploads()[len(srv.Uploads())-1]; string(last.Data) != string(data) {
		t.Error("the server has other bytes")
	}
}

func TestCapabilities_ReplaceOptions(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 300_000)
	got := tusup(t, "--endpoint", srv.Endpoint(), "--capabilities", "creation,checksum:sha1,checksum:md5", "--chunk-size", "100KB", path)
	if got.code != exitOK {
		t.Fatalf("outcome is %+v", got)
	}
	for _, r := range srv.Requests() {
		if r.Method == http.MethodOptions {
			t.Error("OPTIONS was sent")
		}
		if sum := r.Header.Get("Upload-Checksum"); r.Method == http.MethodPatch && !strings.HasPrefix(sum, "sha1 ") {
			t.Errorf("Upload-Checksum is %q", sum)
		}
	}
	for list, want := range map[string]string{"creation,termnation": "termination", "checksum": "checksum:sha1", "creation:sha1": "checksum:sha1"} {
		if got := tusup(t, "--endpoint", srv.Endpoint(), "--capabilities", list, path); got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: outcome is %+v", list, got)
		}
	}
}

func TestBufferLimit_SizesStandardInput(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("creation-defer-length")})
	run := func(limit string) outcome {
		cmd := command(t, "--endpoint", srv.Endpoint(), "--buffer-limit", limit, "--chunk-size", "100KB", "-")
		cmd.Stdin = strings.NewReader(strings.Repeat("x", 300_000))
		return finish(t, cmd)
	}
	if got := run("200KB"); got.code != exitFailed || !strings.Contains(got.stderr, "--buffer-limit: 200000") {
		t.Errorf("outcome is %+v", got)
	}
	if got := run("1MiB"); got.code != exitOK || len(srv.Uploads()[0].Data) != 300_000 {
		t.Errorf("outcome is %+v", got)
	}
}

func TestMinChunkSize_HalvesRefusedChunks(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	front := frontOf(t, srv, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.ContentLength > 150_000 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		next.ServeHTTP(w, r)
	})
	front.Start()
	path, data := randomFile(t, 900_000)
	args := []string{"--endpoint", front.URL + pathOf(t, srv.Endpoint()), "--retries", "0", "--chunk-size", "400000", "--checksum", "off", path}
	if got := tusup(t, args...); got.code != exitFailed {
		t.Errorf("outcome is %+v", got)
	}
	if got := tusup(t, append(args, "--min-chunk-size", "100000")...); got.code != exitOK {
		t.Errorf("outcome is %+v", got)
	}
	if last := srv.Uploads()[len(srv.Uploads())-1]; string(last.Data) != string(data) {
		t.Error("the server has other bytes")
	}
}

func TestCookies_KeepSessionOfLoadBalancer(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	front := frontOf(t, srv, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if _, err := r.Cookie("backend"); err != nil && r.Method == http.MethodPatch {
			w.Header().Set("Tus-Resumable", "1.0.0")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "backend", Value: "7", Path: "/"})
		next.ServeHTTP(w, r)
	})
	front.Start()
	path, _ := randomFile(t, 300_000)
	args := []string{"--endpoint", front.URL + pathOf(t, srv.Endpoint()), "--retries", "2", "--chunk-size", "100KB", path}
	if got := tusup(t, args...); got.code != exitFailed || !strings.Contains(got.stderr, "use --cookies") {
		t.Errorf("outcome is %+v", got)
	}
	if got := tusup(t, append(args, "--cookies")...); got.code != exitOK {
		t.Errorf("outcome is %+v", got)
	}
}

func TestCookieFile_SendsThoseOfTheHost(t *testing.T) {
	t.Parallel()
	l := newHeaderLog(t)
	file := filepath.Join(t.TempDir(), "cookies.txt")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# Netscape HTTP Cookie File\n\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tof-host\n#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t4102444800\thttponly\tof-http\n" +
		"127.0.0.1\tFALSE\t/\tFALSE\t1000\texpired\tof-past\n.other.example\tTRUE\t/\tFALSE\t0\tother\tof-other\n")
	tusup(t, "capabilities", "--endpoint", l.url, "--cookie-file", file)
	seen := l.text()
	for value, want := range map[string]bool{"session=of-host": true, "httponly=of-http": true, "of-past": false, "of-other": false} {
		if strings.Contains(seen, value) != want {
			t.Errorf("%s: %v, want %v, in %s", value, !want, want, seen)
		}
	}
	write("# comment\nPLANTED=PLANTED\n")
	got := tusup(t, "capabilities", "--endpoint", l.url, "--cookie-file", file)
	if got.code != exitUsage || !strings.Contains(got.stderr, "cookies.txt:2") || strings.Contains(got.stderr, "PLANTED") {
		t.Errorf("outcome is %+v", got)
	}
}

func TestProxy_IsUsedAndItsPasswordHidden(t *testing.T) {
	t.Parallel()
	var through atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through.Add(1)
		if user, password, ok := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth(); !ok || user != "PLANTED-user" || password != "PLANTED-password" {
			t.Errorf("proxy got user %q", user)
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	at := "http://PLANTED-user:PLANTED-password@" + strings.TrimPrefix(proxy.URL, "http://")
	got := tusup(t, "--endpoint", "http://tus.example/files/", "--proxy", at, "--verbose", "capabilities")
	if got.code != exitFailed || through.Load() == 0 || strings.Contains(got.stderr, "PLANTED") {
		t.Errorf("outcome is %+v", got)
	}
	proxy.Close()
	got = tusup(t, "--endpoint", "https://tus.example/files/", "--proxy", at, "--verbose", "capabilities")
	if got.code != exitFailed || strings.Contains(got.stderr, "PLANTED") {
		t.Errorf("outcome is %+v", got)
	}
	for _, bad := range []string{"PLANTED", "ftp://PLANTED", "http://PLANTED:x%zz@a", ""} {
		if got := tusup(t, "--endpoint", "http://tus.example/files/", "--proxy="+bad, "capabilities"); got.code != exitUsage || !strings.Contains(got.stderr, "--proxy") || strings.Contains(got.stderr, "PLANTED") {
			t.Errorf("%q: outcome is %+v", bad, got)
		}
	}
}

func TestProxy_NoneIgnoresTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, proxy := range []string{"", "none"} {
		l := newHeaderLog(t)
		cmd := command(t, "--endpoint", "http://tus.invalid/files/", "--retries", "0", "capabilities")
		cmd.Env = append(cmd.Env, "HTTP_PROXY="+l.url, "TUS_PROXY="+proxy)
		if got := finish(t, cmd); got.code != exitFailed || (l.text() == "") != (proxy == "none") {
			t.Errorf("TUS_PROXY=%s: proxy got %q; outcome is %+v", proxy, l.text(), got)
		}
	}
}

func TestHTTP2_IsUsedOnRequest(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	var major atomic.Int32
	front := frontOf(t, srv, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		major.Store(int32(r.ProtoMajor))
		next.ServeHTTP(w, r)
	})
	front.EnableHTTP2 = true
	front.StartTLS()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, ca, "CERTIFICATE", front.Certificate().Raw)
	for _, test := range []struct {
		args []string
		want int32
	}{{nil, 1}, {[]string{"--http2"}, 2}} {
		args := append([]string{"--endpoint", front.URL + pathOf(t, srv.Endpoint()), "--ca", ca, "capabilities"}, test.args...)
		if got := tusup(t, args...); got.code != exitOK || major.Load() != test.want {
			t.Errorf("HTTP/%d, want %d; outcome is %+v", major.Load(), test.want, got)
		}
	}
}

func TestClientCert_IsPresented(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	var subject atomic.Value
	front := frontOf(t, srv, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		subject.Store(r.TLS.PeerCertificates[0].SerialNumber.String())
		next.ServeHTTP(w, r)
	})
	front.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	front.StartTLS()
	dir := t.TempDir()
	ca, cert, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, ca, "CERTIFICATE", front.Certificate().Raw)
	writeCertificate(t, cert, key)
	args := []string{"--endpoint", front.URL + pathOf(t, srv.Endpoint()), "--ca", ca, "capabilities"}
	if got := tusup(t, args...); got.code != exitFailed {
		t.Errorf("outcome is %+v", got)
	}
	if got := tusup(t, append(args, "--client-cert", cert, "--client-key", key)...); got.code != exitOK || subject.Load() != "4711" {
		t.Errorf("server got certificate %v; outcome is %+v", subject.Load(), got)
	}
	for _, bad := range [][]string{{"--client-cert", cert}, {"--client-key", key}, {"--client-cert", key, "--client-key", cert}} {
		if got := tusup(t, append(args, bad...)...); got.code != exitUsage || !strings.Contains(got.stderr, "--client-key") {
			t.Errorf("%v: outcome is %+v", bad, got)
		}
	}
}

func TestClientCert_IsNotPresentedToForeignLocation(t *testing.T) {
	t.Parallel()
	var asked, certificates atomic.Int32
	foreign := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		certificates.Add(int32(len(r.TLS.PeerCertificates)))
		w.WriteHeader(http.StatusForbidden)
	}))
	foreign.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	foreign.StartTLS()
	defer foreign.Close()
	home := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Tus-Resumable", "1.0.0")
		w.Header().Set("Location", foreign.URL+"/files/1")
		w.WriteHeader(http.StatusCreated)
	}))
	defer home.Close()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key)
	path, _ := randomFile(t, 1000)
	args := []string{"--endpoint", home.URL + "/files/", "--insecure", "--retries", "0", "--capabilities", "creation", "--client-cert", cert, "--client-key", key, path}
	if got := tusup(t, args...); got.code != exitFailed || asked.Load() == 0 || certificates.Load() != 0 {
		t.Errorf("%d certificates in %d requests; outcome is %+v", certificates.Load(), asked.Load(), got)
	}
	if got := tusup(t, append(args, "-v", "--trusted-origin", foreign.URL)...); certificates.Load() == 0 {
		t.Errorf("no certificate; outcome is %+v", got)
	}
}

// writeCertificate writes a certificate with the serial number 4711 and its key.
func writeCertificate(t *testing.T, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(4711), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, cert, "CERTIFICATE", der)
	if der, err = x509.MarshalECPrivateKey(private); err != nil {
		t.Fatal(err)
	}
	writePEM(t, key, "EC PRIVATE KEY", der)
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestQuiet_PrintsErrorsOnly(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 1000)
	if got := tusup(t, "-q", "--endpoint", srv.Endpoint(), path); got != (outcome{}) {
		t.Errorf("outcome is %+v", got)
	}
	got := tusup(t, "-q", "--endpoint", srv.Endpoint(), path, "missing.bin")
	if got.code != exitFailed || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "missing.bin") {
		t.Errorf("outcome is %+v", got)
	}
	if got := tusup(t, "-q", "--json", "--endpoint", srv.Endpoint(), path); got.code != exitOK || decode(t, got.stdout).Size != 1000 || got.stderr != "" {
		t.Errorf("outcome is %+v", got)
	}
	if got := tusup(t, "-q", "-v", "--endpoint", srv.Endpoint(), path); got.code != exitUsage {
		t.Errorf("outcome is %+v", got)
	}
}
