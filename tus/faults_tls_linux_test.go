package tus_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

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
