package tus_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestStall_SlowDrainOfKernelIsNone(t *testing.T) {
	t.Parallel() // mostly waits
	// The kernel has all bytes long before the server has read them, which takes several
	// stall timeouts.
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop() // after the server is closed
	h := tustest.NewHandler(nil)
	srv := httptest.NewUnstartedServer(h)
	srv.Listener = &smallBuffers{srv.Listener}
	srv.Start()
	defer srv.Close()
	h.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		r.Body = tickedBody{r.Body, tick.C}
		h.Serve(w, r)
	}})
	data := randomBytes(3 << 19)
	res, err := newClient(t, srv.URL+"/files/", &tus.Options{StallTimeout: time.Second}).Upload(testContext(t), tus.Bytes(data), whole())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, h, res.URL, data)
	if res.Stats.Retries != 0 {
		t.Errorf("%d retries", res.Stats.Retries)
	}
}

func TestStall_QueuedBytesAreNotSent(t *testing.T) {
	t.Parallel() // mostly waits
	// The client has written the whole request, but most of it is in its send queue: the
	// wait for the response has not started.
	h := tustest.NewHandler(nil)
	srv := httptest.NewUnstartedServer(h)
	srv.Listener = &smallBuffers{srv.Listener}
	srv.Start()
	defer srv.Close()
	defer h.Release()
	h.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Stall()})
	var seen recorder
	data := randomBytes(3 << 19)
	options := &tus.Options{StallTimeout: time.Second, ResponseTimeout: time.Hour, Hooks: seen.hooks()}
	res, err := newClient(t, srv.URL+"/files/", options).Upload(testContext(t), tus.Bytes(data), whole())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, h, res.URL, data)
	wantError(t, seen.retries[0].Err, tus.ErrStalled)
}

// smallBuffers sets a small receive buffer for each connection of the server.
type smallBuffers struct{ net.Listener }

func (l *smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetReadBuffer(256 << 10)
	}
	return c, err
}

// tickedBody reads 16 KiB at each tick.
type tickedBody struct {
	io.ReadCloser
	tick <-chan time.Time
}

func (b tickedBody) Read(p []byte) (int, error) {
	<-b.tick
	return b.ReadCloser.Read(p[:min(len(p), 16<<10)])
}

func TestStall_SlowLinkOverTLSIsNone(t *testing.T) {
	t.Parallel() // mostly waits
	// As over plain TCP, only the send queue of the kernel shows that bytes move.
	ours := newAuthority(t, "ours")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop() // when the server is closed
	h := tustest.NewHandler(nil)
	srv := httptest.NewUnstartedServer(h)
	srv.Listener = &smallBuffers{srv.Listener}
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{ours.issue(nil)}}
	srv.StartTLS()
	defer srv.Close()
	h.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		r.Body = tickedBody{r.Body, tick.C}
		h.Serve(w, r)
	}})
	transport := tus.NewTransport()
	transport.TLSClientConfig = &tls.Config{RootCAs: ours.pool}
	data := randomBytes(3 << 19)
	res, err := newClient(t, srv.URL+"/files/", &tus.Options{StallTimeout: time.Second, HTTPClient: &http.Client{Transport: transport}}).
		Upload(testContext(t), tus.Bytes(data), whole())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, h, res.URL, data)
	if res.Stats.Retries != 0 {
		t.Errorf("%d retries", res.Stats.Retries)
	}
}
