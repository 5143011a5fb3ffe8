package tus_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// Rows of the matrix with faults of the source, and one of HTTP/2 connections.

// sourceRows are slow sources, and files that cannot be opened temporarily.
func sourceRows() []faultRow {
	return []faultRow{
		{name: "each Read takes three minutes", on: reading, bubble: true, want: fine(0), source: func(s *stage, source tus.Source) tus.Source {
			s.failures.Add(1)
			return slowSource{source, 3 * time.Minute}
		}},
		{name: "too many open files (EMFILE)", on: reading, want: fine(1), source: func(s *stage, source tus.Source) tus.Source {
			var once sync.Once
			return &hookedSource{Source: source, beforeOpen: func(context.Context) (err error) {
				once.Do(func() {
					s.failures.Add(1)
					err = errNoDescriptor
				})
				return err
			}}
		}},
		// net/http opens ten connections before the request is canceled, and sends the body on
		// each.
		{name: "GOAWAY on each connection", on: carrying, detour: true, want: fine(2).again(times(10)),
			but: butOne(fine(2).again(times(10)).creating(1))},
	}
}

// detour sends one request to a server that closes each HTTP/2 connection with GOAWAY
// before it handles the request.
type detour struct {
	match func(*http.Request) bool
	skip  int

	mu    sync.Mutex
	taken int
}

func (d *detour) hits() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.taken
}

// of returns the transport for a request: usual, unless the request takes the detour.
func (d *detour) of(t testing.TB, r *http.Request, usual http.RoundTripper) http.RoundTripper {
	if d == nil || !d.match(r) {
		return usual
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.skip--; d.skip >= 0 || d.taken > 0 {
		return usual
	}
	d.taken++
	return closingServer(t)
}

// closingServer starts a server that closes each connection with GOAWAY, and returns a
// transport to it.
func closingServer(t testing.TB) http.RoundTripper {
	certificate := httptest.NewTLSServer(http.NotFoundHandler())
	defer certificate.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificate.TLS.Certificates, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { goAway(c) })
		}
	})
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: certificate.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		listener.Close()
		serving.Wait()
	})
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		there := r.Clone(r.Context())
		there.URL.Scheme, there.URL.Host = "https", listener.Addr().String()
		return transport.RoundTrip(there)
	})
}
