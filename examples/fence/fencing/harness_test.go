package fencing_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tus/tusd/v2/pkg/filestore"
	tusd "github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	expslog "golang.org/x/exp/slog"

	"github.com/seed-175555ba/tus-go/examples/fence/fencing"
)

const header = "Upload-Fence"

// newTusd returns a tusd with the endpoint /files/ and a directory. Clients may be silent
// for long, so that only a lock or a fence ends their requests.
func newTusd(t *testing.T, dir string, locks bool) http.Handler {
	t.Helper()
	composer := tusd.NewStoreComposer()
	filestore.New(dir).UseIn(composer)
	if locks {
		memorylocker.New().UseIn(composer)
	}
	h, err := tusd.NewHandler(tusd.Config{
		BasePath: "/files/", StoreComposer: composer, NetworkTimeout: time.Hour,
		Logger: expslog.New(expslog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return http.StripPrefix("/files/", h)
}

// guards are the ways to protect a server.
var guards = []string{"none", "handler", "proxy"}

// guarded returns a handler with a guard before a server. Proxies connect with dial.
func guarded(t *testing.T, guard string, server http.Handler, opts fencing.Options) http.Handler {
	t.Helper()
	switch guard {
	case "handler":
		return fencing.New(server, opts)
	case "proxy":
		listener := newPipeListener()
		transport := &http.Transport{DialContext: listener.Dial, DisableCompression: true}
		serve(t, listener, server)
		t.Cleanup(transport.CloseIdleConnections)
		return fencing.New(fencing.Proxy(&url.URL{Scheme: "http", Host: "server.test"}, transport), opts)
	}
	return server
}

// serve serves until the end of the test.
func serve(t *testing.T, listener net.Listener, h http.Handler) *http.Server {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: h, Protocols: protocols, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Close()
		serving.Wait()
	})
	return server
}

func randomBytes(n int) []byte {
	data := make([]byte, n)
	source := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = source.Read(data)
	return data
}

// stored returns what tusd stored for an upload URL.
func stored(t *testing.T, dir, uploadURL string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, path.Base(uploadURL)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func equal(a, b []byte) bool { return bytes.Equal(a, b) }

// pipeListener listens in memory, with connections that block durably in a bubble.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipeListener() *pipeListener {
	closed := make(chan struct{})
	return &pipeListener{conns: make(chan net.Conn), closed: closed, close: sync.OnceFunc(func() { close(closed) })}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { l.close(); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (l *pipeListener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
