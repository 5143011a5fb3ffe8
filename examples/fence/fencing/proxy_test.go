package fencing_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/fence/fencing"
	"github.com/seed-175555ba/tus-go/tus"
)

// proxied returns the URL of a proxy to a server.
func proxied(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(fencing.New(fencing.Proxy(target, nil), fencing.Options{}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

func TestProxy_UploadHasItsURL(t *testing.T) {
	dir, data := t.TempDir(), randomBytes(3<<20)
	at := proxied(t, newTusd(t, dir, false))
	client, err := tus.NewClient(at+"/files/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Upload(t.Context(), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(res.URL, at) || !equal(stored(t, dir, res.URL), data) {
		t.Errorf("upload URL is %s, content is equal: %v", res.URL, equal(stored(t, dir, res.URL), data))
	}
}

// The server receives the first bytes before the client has sent the last.
func TestProxy_BodyIsStreamed(t *testing.T) {
	h := newHolding()
	close(h.release)
	reading, writing := io.Pipe()
	r := request(t, http.MethodPatch, proxied(t, h)+"/files/1", 3, reading)
	r.ContentLength = 10
	done := start(http.DefaultClient, r)
	_, _ = io.WriteString(writing, "hello")
	<-h.began
	_, _ = io.WriteString(writing, "world")
	writing.Close()
	if got := <-done; got.status != http.StatusNoContent {
		t.Errorf("%+v", got)
	}
}

// The body ends properly at the server when a client disconnects, so that the fence knows
// when the server has stored what it received.
func TestProxy_DisconnectedClientEndsBodyProperly(t *testing.T) {
	h := newHolding()
	at := proxied(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	r := request(t, http.MethodPatch, at+"/files/1", 3, silentBody(ctx)).WithContext(ctx)
	r.ContentLength = 1000
	first := start(http.DefaultClient, r)
	<-h.began
	cancel()
	if got := <-first; !errors.Is(got.err, context.Canceled) {
		t.Errorf("%+v", got)
	}
	if err := <-h.ended; err != nil {
		t.Errorf("body ends with %v", err)
	}
	second := start(http.DefaultClient, request(t, http.MethodHead, at+"/files/1", 3, nil))
	select {
	case got := <-second:
		t.Errorf("the next request did not wait: %+v", got)
	case <-time.After(50 * time.Millisecond):
	}
	close(h.release)
	if got := <-second; got.status != http.StatusNoContent || h.overlaps.Load() > 0 {
		t.Errorf("%+v, %d overlap", got, h.overlaps.Load())
	}
}

func TestProxy_ChecksumTrailerIsForwarded(t *testing.T) {
	trailers := make(chan string, 1)
	at := proxied(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailers <- r.Trailer.Get("Upload-Checksum")
		w.WriteHeader(http.StatusNoContent)
	}))
	r := request(t, http.MethodPatch, at+"/files/1", 3, strings.NewReader("hello"))
	r.ContentLength = -1
	r.Trailer = http.Header{"Upload-Checksum": {"sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00="}}
	if got := <-start(http.DefaultClient, r); got.status != http.StatusNoContent {
		t.Errorf("%+v", got)
	}
	if got := <-trailers; got != "sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=" {
		t.Errorf("trailer is %q", got)
	}
}

func TestProxy_EarlierProxyIsForwarded(t *testing.T) {
	seen := make(chan *http.Request, 1)
	at := proxied(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen <- r }))
	r := request(t, http.MethodPost, at+"/files/", 0, nil)
	r.Host = "tus.example.org"
	r.Header.Set("X-Forwarded-Proto", "https")
	if got := <-start(http.DefaultClient, r); got.status != http.StatusOK {
		t.Errorf("%+v", got)
	}
	if got := <-seen; got.Host != "tus.example.org" || got.Header.Get("X-Forwarded-Proto") != "https" || got.Header.Get("X-Forwarded-Host") != "tus.example.org" {
		t.Errorf("the server sees host %s, header %v", got.Host, got.Header)
	}
}
