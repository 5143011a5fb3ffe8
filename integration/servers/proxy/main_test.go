//go:build unix

package proxy_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"
	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/integration/servers"
	"github.com/seed-175555ba/tus-go/integration/servers/proxy"
	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus"
)

func TestMain(m *testing.M) {
	child.Main(uploaderRole())
	goleak.VerifyTestMain(m)
}

const (
	mib = 1 << 20
	// stuck is when a test hangs.
	stuck = time.Minute
)

// testContext returns a context that ends a hanging test.
func testContext(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// startTusd starts a tusd that uses the header fields of proxies.
func startTusd(t *testing.T) (*tusdtest.Server, *servers.Running) {
	t.Helper()
	server := tusdtest.Start(t, &tusdtest.Options{Configure: func(c *handler.Config) { c.RespectForwardedHeaders = true }})
	return server, &servers.Running{
		Endpoint: server.Endpoint(),
		Content: func(_ context.Context, uploadURL string) (io.ReadCloser, error) {
			return os.Open(server.Path(uploadURL))
		},
	}
}

// start starts a proxy before backend. If it is not installed, the test is skipped.
func start(t *testing.T, p servers.Proxy, backend *servers.Running) *servers.Running {
	t.Helper()
	running, err := p.Start(testContext(t, 30*time.Second), t.TempDir(), backend)
	if errors.Is(err, servers.ErrNotInstalled) {
		t.Skip("NOTICE: not tested:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Close)
	return running
}

// startNamed is start for a proxy by its name in the matrix.
func startNamed(t *testing.T, name string, backend *servers.Running) *servers.Running {
	t.Helper()
	p, err := proxy.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, p, backend)
}

// source is a file to upload.
type source struct {
	path, hash string
	size       int64
}

// newSource writes a file of noise.
func newSource(t *testing.T, size int64) source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source.bin")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{byte(size)}), size); err != nil {
		t.Fatal(err)
	}
	hash, err := tusdtest.HashFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return source{path, hash, size}
}

// wantStored fails unless the server holds exactly the source.
func wantStored(t *testing.T, r *servers.Running, uploadURL string, s source) {
	t.Helper()
	content, err := r.Content(t.Context(), uploadURL)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, content)
	if err != nil {
		t.Fatal(err)
	}
	if n != s.size || hex.EncodeToString(hash.Sum(nil)) != s.hash {
		t.Errorf("server has %d bytes that differ from the source of %d", n, s.size)
	}
}

// newClient returns a client of r.
func newClient(t *testing.T, r *servers.Running, options tus.Options) *tus.Client {
	t.Helper()
	options.HTTPClient = newHTTPClient(t, r)
	client, err := tus.NewClient(r.Endpoint, &options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// newHTTPClient returns a client that trusts the certificate of r.
func newHTTPClient(t *testing.T, r *servers.Running) *http.Client {
	t.Helper()
	transport := tus.NewTransport()
	if r.CAFile != "" {
		transport = trusting(t, r.CAFile)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// trusting returns a transport that trusts the certificates in a file, and offers HTTP/2.
func trusting(t *testing.T, file string) *http.Transport {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	transport := tus.NewTransport()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in", file)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	transport.Protocols.SetHTTP2(true)
	return transport
}
