package tus_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
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
		listener := faults.NewPipeListener()
		server := &http.Server{Handler: h}
		var serving sync.WaitGroup
		serving.Go(func() { server.Serve(listener) })
		transport := &http.Transport{DialContext: listener.Dial, DisableCompression: true}
		f(t, h, func(opts *tus.Options) *tus.Client {
			var o tus.Options
			if opts != nil {
				o = *opts
			}
			if o.HTTPClient != nil {
				transport = o.HTTPClient.Transport.(*http.Transport)
				transport.DialContext = listener.Dial
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
