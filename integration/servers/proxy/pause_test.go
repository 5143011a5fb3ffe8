//go:build unix

package proxy_test

import (
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/servers/proxy"
)

// A slow disk or a network that changes pauses a body for some seconds. Varnish ends it after 5
// seconds by default, as its Setup says.
func TestProxy_BodyWithPauseIsStored(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 6 seconds")
	}
	const size, pause = 8 * mib, 6 * time.Second
	for _, p := range proxy.All() {
		if p.Name == proxy.NginxDefaults { // refuses the request
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			_, backend := startTusd(t)
			running := start(t, p, backend)
			client := newHTTPClient(t, running)
			resp, err := exchange(t.Context(), client, http.MethodPost, running.Endpoint, nil, "Upload-Length", strconv.Itoa(size))
			if err != nil {
				t.Fatal(err)
			}
			wait := onRead(func() error {
				time.Sleep(pause)
				return io.EOF
			})
			body := io.MultiReader(io.LimitReader(zeros{}, size/2), wait, io.LimitReader(zeros{}, size/2))
			resp, err = exchange(t.Context(), client, http.MethodPatch, resp.Header.Get("Location"), body, "Upload-Offset", "0")
			if err != nil {
				t.Fatal(err)
			}
			want := http.StatusNoContent
			if p.Name == proxy.VarnishDefaults {
				want = http.StatusServiceUnavailable
			}
			if resp.StatusCode != want {
				t.Errorf("PATCH returned %s, want %d", resp.Status, want)
			}
		})
	}
}
