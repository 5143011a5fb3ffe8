package tus_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// bubble runs f in a synctest bubble, with a server on in-memory connections.
func bubble(t *testing.T, f func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client)) {
	t.Helper()
	bubbleWith(t, nil, f)
}

// bubbleWith is bubble with options of the server. A client keeps its own transport, with
// another DialContext.
func bubbleWith(t *testing.T, opts *tustest.Options, f func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := tustest.NewHandler(opts)
		listener := newPipeListener()
		server := &http.Server{Handler: h}
		var serving sync.WaitGroup
		serving.Go(func() { server.Serve(listener) })
		transport := &http.Transport{DialContext: listener.dial, DisableCompression: true}
		f(t, h, func(opts *tus.Options) *tus.Client {
			var o tus.Options
			if opts != nil {
				o = *opts
			}
			if o.HTTPClient != nil {
				transport = o.HTTPClient.Transport.(*http.Transport)
				transport.DialContext = listener.dial
			}
			o.HTTPClient = &http.Client{Transport: transport}
			if o.Checksums == nil {
				o.Checksums = []checksum.Algorithm{}
			}
			c, err := tus.NewClient("http://tus.test/files/", &o)
			if err != nil {
				t.Fatal(err)
			}
			return c
		})
		h.Release()
		transport.CloseIdleConnections()
		server.Close()
		serving.Wait()
	})
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
