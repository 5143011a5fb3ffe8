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
	t.Run("TCP", func(t *testing.T) {
		t.Parallel()
		h, srv := slowDrain(t)
		srv.Start()
		wantNoStall(t, h, srv.URL, nil)
	})
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		ours := newAuthority(t, "ours")
		h, srv := slowDrain(t)
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{ours.issue(nil)}}
		srv.StartTLS()
		transport := tus.NewTransport()
		transport.TLSClientConfig = &tls.Config{RootCAs: ours.pool}
		wantNoStall(t, h, srv.URL, &http.Client{Transport: transport})
	})
}

// slowDrain returns a server that reads so slowly that the kernel of the client has all
// bytes long before the server, for several stall timeouts.
func slowDrain(t *testing.T) (*tustest.Handler, *httptest.Server) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	t.Cleanup(tick.Stop) // after the server is closed
	h := tustest.NewHandler(nil)
	srv := httptest.NewUnstartedServer(h)
	srv.Listener = &smallBuffers{srv.Listener}
	t.Cleanup(srv.Close)
	h.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		r.Body = tickedBody{r.Body, tick.C}
		h.Serve(w, r)
	}})
	return h, srv
}

// wantNoStall fails unless an upload completes without a retry.
func wantNoStall(t *testing.T, h *tustest.Handler, url string, httpClient *http.Client) {
	t.Helper()
	data := randomBytes(3 << 19)
	client := newClient(t, url+"/files/", &tus.Options{StallTimeout: time.Second, HTTPClient: httpClient})
	res, err := client.Upload(testContext(t), tus.Bytes(data), whole())
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
