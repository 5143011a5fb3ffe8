//go:build unix

package proxy_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/servers/proxy"
)

// The proxies whose Setup says that they buffer keep nothing of an interrupted request, and the
// others nearly all of it.
func TestProxy_InterruptedRequestIsStored(t *testing.T) {
	const (
		size = 8 * mib
		sent = 4 * mib
		// lost is an upper bound for what is in the buffers of kernel and proxy.
		lost = mib
		// settled is when a proxy that streams has passed on all, and tusd has stored it.
		settled = 2 * time.Second
	)
	buffering := map[string]bool{proxy.NginxBuffering: true, proxy.LighttpdBuffering: true}
	for _, p := range proxy.All() {
		if p.Name == proxy.NginxDefaults { // refuses the request
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			server, backend := startTusd(t)
			running := start(t, p, backend)
			client := newHTTPClient(t, running)
			resp, err := exchange(t.Context(), client, http.MethodPost, running.Endpoint, nil, "Upload-Length", strconv.Itoa(size))
			if err != nil {
				t.Fatal(err)
			}
			uploadURL := resp.Header.Get("Location")
			stored := func() int64 {
				n, err := server.Size(uploadURL)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			body := io.MultiReader(io.LimitReader(zeros{}, sent), onRead(func() error {
				for deadline := time.Now().Add(settled); stored() < sent-lost && time.Now().Before(deadline); {
					time.Sleep(10 * time.Millisecond)
				}
				return errCut
			}))
			if _, err := exchange(t.Context(), client, http.MethodPatch, uploadURL, body, "Upload-Offset", "0"); !errors.Is(err, errCut) {
				t.Fatalf("PATCH returned %v before it was cut", err)
			}
			time.Sleep(settled / 4) // in which nginx could pass on what it has
			got := stored()
			t.Logf("%d of %d bytes are stored", got, sent)
			if buffering[p.Name] != (got == 0) || got > 0 && got < sent-lost {
				t.Errorf("%d of %d bytes are stored", got, sent)
			}
		})
	}
}

// exchange sends a request of 8 MiB or without a body, and returns the response without its body.
func exchange(ctx context.Context, client *http.Client, method, url string, body io.Reader, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set(header[0], header[1])
	if body != nil {
		req.ContentLength = 8 * mib
		req.Header.Set("Content-Type", "application/offset+octet-stream")
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	return resp, resp.Body.Close()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// onRead calls a function and returns its error: io.EOF ends a part of a body, and others cut the
// connection.
type onRead func() error

var errCut = errors.New("cut")

func (f onRead) Read([]byte) (int, error) { return 0, f() }
