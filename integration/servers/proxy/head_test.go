//go:build unix

package proxy_test

import (
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/integration/servers/proxy"
)

// Varnish turns HEAD into GET by default, as its Setup says, and the others pass it on.
func TestProxy_HeadHasUploadOffset(t *testing.T) {
	for _, p := range proxy.All() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			_, backend := startTusd(t)
			running := start(t, p, backend)
			client := newHTTPClient(t, running)
			resp, err := exchange(t.Context(), client, http.MethodPost, running.Endpoint, nil, "Upload-Length", "5")
			if err != nil {
				t.Fatal(err)
			}
			resp, err = exchange(t.Context(), client, http.MethodHead, resp.Header.Get("Location"), nil, "Cache-Control", "no-store")
			if err != nil {
				t.Fatal(err)
			}
			want := "0"
			if p.Name == proxy.VarnishDefaults {
				want = ""
			}
			if got := resp.Header.Get("Upload-Offset"); got != want {
				t.Errorf("%s has Upload-Offset %q, want %q", resp.Status, got, want)
			}
			if running.CAFile != "" && resp.ProtoMajor != 2 {
				t.Errorf("the protocol is %s", resp.Proto)
			}
			t.Logf("Server %q, Via %q", resp.Header.Get("Server"), resp.Header.Values("Via"))
		})
	}
}
