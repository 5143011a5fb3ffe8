package tus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"io/fs"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// authority is a certificate authority.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue returns a certificate for the loopback address, modified by change.
func (a *authority) issue(change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	key := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secureServer starts a tus server with a TLS configuration.
func secureServer(t testing.TB, config *tls.Config) (h *tustest.Handler, endpoint string) {
	t.Helper()
	h = tustest.NewHandler(nil)
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of refused handshakes
	srv.TLS = config
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return h, srv.URL + "/files/"
}

// uploadSecurely uploads with the default transport, and with the TLS configuration if it
// is not nil. The request carries credentials, which an untrusted server must not get.
func uploadSecurely(t testing.TB, endpoint string, config *tls.Config) (*tus.Result, error) {
	t.Helper()
	opts := secretOptions()
	if config != nil {
		transport := tus.NewTransport()
		transport.TLSClientConfig = config
		opts.HTTPClient = &http.Client{Transport: transport}
	}
	return newClient(t, endpoint, opts).Upload(testContext(t), tus.Bytes(randomBytes(30_000)), chunked())
}

func TestTLS_UntrustedServerGetsNothing(t *testing.T) {
	ours, other := newAuthority(t, "ours"), newAuthority(t, "other")
	trusting := &tls.Config{RootCAs: ours.pool}
	for name, test := range map[string]struct {
		certificate tls.Certificate
		client      *tls.Config // nil is the default
	}{
		"unknown authority, by default": {ours.issue(nil), nil},
		"another authority":             {other.issue(nil), trusting},
		"another host":                  {ours.issue(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"example.org"} }), trusting},
		"expired":                       {ours.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), trusting},
		"not yet valid":                 {ours.issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), trusting},
		"client certificate":            {ours.issue(only(x509.ExtKeyUsageClientAuth)), trusting},
	} {
		t.Run(name, func(t *testing.T) {
			h, endpoint := secureServer(t, &tls.Config{Certificates: []tls.Certificate{test.certificate}})
			res, err := uploadSecurely(t, endpoint, test.client)
			var verification *tls.CertificateVerificationError
			if !errors.As(err, &verification) || tus.IsRetryable(err) || res.Stats.Retries != 0 {
				t.Errorf("after %d retries: %v", res.Stats.Retries, err)
			}
			if n := len(h.Requests()); n != 0 {
				t.Errorf("the server got %d requests", n)
			}
		})
	}
	t.Run("TLS 1.1", func(t *testing.T) {
		h, endpoint := secureServer(t, &tls.Config{
			Certificates: []tls.Certificate{ours.issue(nil)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
		res, err := uploadSecurely(t, endpoint, trusting)
		if err == nil || tus.IsRetryable(err) || res.Stats.Retries != 0 || len(h.Requests()) != 0 {
			t.Errorf("after %d retries, the server got %d requests: %v", res.Stats.Retries, len(h.Requests()), err)
		}
	})
	t.Run("VerifyConnection of the caller", func(t *testing.T) {
		h, endpoint := secureServer(t, &tls.Config{Certificates: []tls.Certificate{other.issue(nil)}})
		res, err := uploadSecurely(t, endpoint, &tls.Config{
			InsecureSkipVerify: true, // for VerifyConnection
			VerifyConnection: func(state tls.ConnectionState) error {
				_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: ours.pool})
				return err
			},
		})
		if err == nil || tus.IsRetryable(err) || res.Stats.Retries != 0 || len(h.Requests()) != 0 {
			t.Errorf("after %d retries, the server got %d requests: %v", res.Stats.Retries, len(h.Requests()), err)
		}
	})
}

func TestTLS_RefusedHandshakeIsNotRetried(t *testing.T) {
	ours, other := newAuthority(t, "ours"), newAuthority(t, "other")
	verifying := func(version uint16) *tls.Config {
		return &tls.Config{ClientCAs: ours.pool, ClientAuth: tls.RequireAndVerifyClientCert, MaxVersion: version}
	}
	foreign := other.issue(nil)
	always := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &foreign, nil }
	for name, test := range map[string]struct{ server, client *tls.Config }{
		"no common version":               {&tls.Config{MinVersion: tls.VersionTLS13}, &tls.Config{MaxVersion: tls.VersionTLS12}},
		"no common protocol":              {&tls.Config{NextProtos: []string{"one"}}, &tls.Config{NextProtos: []string{"another"}}},
		"no certificate":                  {verifying(tls.VersionTLS12), &tls.Config{}},
		"certificate of other authority":  {verifying(tls.VersionTLS12), &tls.Config{GetClientCertificate: always}},
		"no certificate, TLS 1.3":         {verifying(tls.VersionTLS13), &tls.Config{}},
		"certificate of another, TLS 1.3": {verifying(tls.VersionTLS13), &tls.Config{GetClientCertificate: always}},
	} {
		t.Run(name, func(t *testing.T) {
			test.server.Certificates = []tls.Certificate{ours.issue(nil)}
			test.client.RootCAs = ours.pool
			h, endpoint := secureServer(t, test.server)
			res, err := uploadSecurely(t, endpoint, test.client)
			if n := len(h.Requests()); err == nil || tus.IsRetryable(err) || n != 0 {
				t.Errorf("the server got %d requests: %v", n, err)
			}
			// With TLS 1.3 the request is sent before the refusal comes, and the end of
			// the connection may be quicker.
			if test.server.MaxVersion != tls.VersionTLS13 && res.Stats.Retries != 0 {
				t.Errorf("%d retries: %v", res.Stats.Retries, err)
			}
		})
	}
}

func TestTLS_InternalErrorOfServerIsRetried(t *testing.T) {
	ours := newAuthority(t, "ours")
	var handshakes atomic.Int32
	_, endpoint := secureServer(t, &tls.Config{
		Certificates: []tls.Certificate{ours.issue(nil)},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if handshakes.Add(1) == 1 {
				return nil, errors.New("certificate is being renewed")
			}
			return nil, nil
		},
	})
	res, err := uploadSecurely(t, endpoint, &tls.Config{RootCAs: ours.pool})
	if err != nil || res.Stats.Retries != 1 {
		t.Errorf("after %d retries: %v", res.Stats.Retries, err)
	}
}

// only restricts a certificate to one use.
func only(use x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{use} }
}

func TestTLS_OwnCertificateAuthority(t *testing.T) {
	ours := newAuthority(t, "ours")
	for name, config := range map[string]*tls.Config{
		"TLS 1.3": {Certificates: []tls.Certificate{ours.issue(nil)}, MinVersion: tls.VersionTLS13},
		"TLS 1.2": {Certificates: []tls.Certificate{ours.issue(nil)}, MaxVersion: tls.VersionTLS12},
	} {
		t.Run(name, func(t *testing.T) {
			h, endpoint := secureServer(t, config)
			res, err := uploadSecurely(t, endpoint, &tls.Config{RootCAs: ours.pool})
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, h, res.URL, randomBytes(30_000))
			for _, r := range h.Requests() {
				wantSecrets(t, r)
			}
		})
	}
}

func TestTLS_ClientCertificates(t *testing.T) {
	ours, other := newAuthority(t, "ours"), newAuthority(t, "other")
	h, endpoint := secureServer(t, &tls.Config{
		Certificates: []tls.Certificate{ours.issue(nil)}, ClientCAs: ours.pool, ClientAuth: tls.RequireAndVerifyClientCert,
	})
	for name, certificates := range map[string][]tls.Certificate{
		"none":                 nil,
		"of another authority": {other.issue(nil)},
		"of a server":          {ours.issue(only(x509.ExtKeyUsageServerAuth))},
	} {
		if _, err := uploadSecurely(t, endpoint, &tls.Config{RootCAs: ours.pool, Certificates: certificates}); err == nil {
			t.Errorf("upload succeeds with certificate %q", name)
		}
	}
	if n := len(h.Requests()); n != 0 {
		t.Errorf("the server got %d requests without a certificate", n)
	}
	res, err := uploadSecurely(t, endpoint, &tls.Config{RootCAs: ours.pool, Certificates: []tls.Certificate{ours.issue(nil)}})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, h, res.URL, randomBytes(30_000))
}

func TestVerificationIsSkippedOnlyOnRequest(t *testing.T) {
	ours := newAuthority(t, "ours")
	h, endpoint := secureServer(t, &tls.Config{Certificates: []tls.Certificate{ours.issue(nil)}})
	if config := tus.NewTransport().TLSClientConfig; config != nil && config.InsecureSkipVerify {
		t.Error("the default transport does not verify")
	}
	res, err := uploadSecurely(t, endpoint, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, h, res.URL, randomBytes(30_000))
	// No code of this module sets InsecureSkipVerify.
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "examples" || d.Name() == "integration"): // changes during tests, or separate modules
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		code, err := os.ReadFile(path)
		if strings.Contains(string(code), "InsecureSkipVerify") {
			t.Errorf("%s mentions InsecureSkipVerify", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTLS_URLSourceVerifiesServer(t *testing.T) {
	ours := newAuthority(t, "ours")
	data, requests := randomBytes(30_000), 0
	movies := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "movie", time.Time{}, strings.NewReader(string(data)))
	}))
	movies.Config.ErrorLog = log.New(io.Discard, "", 0)
	movies.TLS = &tls.Config{Certificates: []tls.Certificate{ours.issue(nil)}}
	movies.StartTLS()
	defer movies.Close()
	upload := func(opts *httpsource.Options) error {
		source, err := httpsource.New(movies.URL, opts)
		if err != nil {
			t.Fatal(err)
		}
		defer source.CloseIdleConnections()
		srv := tustest.NewServer(t, nil)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(context.Background(), source, chunked())
		if err == nil {
			wantStored(t, srv.Handler, res.URL, data)
		}
		return err
	}
	if err := upload(nil); err == nil || requests != 0 {
		t.Errorf("%d requests to an untrusted server: %v", requests, err)
	}
	transport := tus.NewTransport()
	transport.TLSClientConfig = &tls.Config{RootCAs: ours.pool}
	if err := upload(&httpsource.Options{HTTPClient: &http.Client{Transport: transport}}); err != nil {
		t.Error(err)
	}
}

// TestTLS_PlainTextInConnectionIsRetried has a proxy that writes into an open tunnel. Before
// the handshake, plain text means a server without TLS.
func TestTLS_PlainTextInConnectionIsRetried(t *testing.T) {
	for _, text := range []string{"HTTP/1.1 503 Service Unavailable\r\n\r\n", "what is this?\r\n\r\n"} {
		h := tustest.NewHandler(nil)
		var patches atomic.Int64
		srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPatch {
				if patches.Add(1) == 1 {
					io.Copy(io.Discard, r.Body)
					conn, _, err := w.(http.Hijacker).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					tunnel := conn.(*tls.Conn).NetConn()
					io.WriteString(tunnel, text)
					tunnel.Close()
					return
				}
			}
			h.ServeHTTP(w, r)
		}))
		defer srv.Close()
		data := randomBytes(10_000)
		client := newClient(t, srv.URL+"/files/", &tus.Options{HTTPClient: srv.Client()})
		res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{CreationLimit: -1})
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, res.URL, data)
		if res.Stats.Requests["HEAD"] != 1 || patches.Load() != 2 {
			t.Errorf("%d recoveries, %d PATCH", res.Stats.Requests["HEAD"], patches.Load())
		}
	}
}
