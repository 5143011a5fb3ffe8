package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/fence/fencing"
)

func TestServe_PassesRequestsOfBothProtocols(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upload-Offset", "7")
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	at, stop := started(t, server.URL)
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(protocol == "HTTP/1.1")
		transport.Protocols.SetUnencryptedHTTP2(protocol == "HTTP/2.0")
		resp, err := (&http.Client{Transport: transport}).Head(at + "/files/1")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		transport.CloseIdleConnections()
		if resp.Proto != protocol || resp.Header.Get("Upload-Offset") != "7" {
			t.Errorf("%s: response %s %v", protocol, resp.Proto, resp.Header)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// The server stores what it received of a PATCH when the proxy shuts down.
func TestServe_ShutdownEndsBodies(t *testing.T) {
	began, body := make(chan struct{}), make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 5))
		close(began)
		_, err := io.Copy(io.Discard, r.Body)
		body <- err
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	at, stop := started(t, server.URL)
	reading, writing := io.Pipe()
	defer writing.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, at+"/files/1", io.MultiReader(strings.NewReader("hello"), reading))
	if err != nil {
		t.Fatal(err)
	}
	status := make(chan int, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	<-began
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := <-body; err != nil {
		t.Errorf("body ends with %v", err)
	}
	writing.Close()
	if got := <-status; got != http.StatusConflict {
		t.Errorf("status %d", got)
	}
}

// started serves before a server, and returns the URL and a function that stops it.
func started(t *testing.T, server string) (at string, stop func() error) {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	fence, ended := fencing.New(fencing.Proxy(target, nil), fencing.Options{}), make(chan error, 1)
	go func() { ended <- serve(ctx, listener, fence) }()
	return "http://" + listener.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

func TestRun_InvalidFlagsAreRefused(t *testing.T) {
	for want, args := range map[string][]string{
		"-to":     {"-to", "127.0.0.1:1080"},
		"-listen": {"-listen", "nowhere"},
		"-wait":   {"-wait", "-1s"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := run(ctx, args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", args, err)
		}
		cancel()
	}
}
