package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// pipes is a network in memory, which works in a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// whole is a gateway with its pages, as main serves them, and a tus server.
type whole struct {
	t     *testing.T
	tus   *tustest.Handler
	front *pipes
	stop  context.CancelFunc // like SIGTERM
}

// served runs f in a bubble with fake time. around, if non-nil, wraps the tus server.
func served(t *testing.T, around func(http.Handler) http.Handler, f func(w *whole)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		w := &whole{t, tustest.NewHandler(nil), newPipes(), stop}
		var behind http.Handler = w.tus
		if around != nil {
			behind = around(behind)
		}
		back := newPipes()
		server := &http.Server{Handler: behind}
		transport := &http.Transport{DialContext: back.dial}
		client, err := tus.NewClient("http://tus.test/files/", &tus.Options{
			HTTPClient:   &http.Client{Transport: transport},
			Retry:        tus.RetryPolicy{MaxRetries: -1},
			StallTimeout: -1,
		})
		check(t, err)
		g := newGateway(client, options{chunkSize: 1000})
		mux := http.NewServeMux()
		g.register(mux)
		check(t, (&pages{endpoint: client.Endpoint()}).register(mux))
		var serving sync.WaitGroup
		serving.Go(func() { server.Serve(back) })
		serving.Go(func() {
			if err := serve(ctx, w.front, hosts{names: []string{"gateway.test"}}.guard(mux), g); err != nil {
				t.Errorf("the server ended with %v", err)
			}
		})
		defer func() {
			stop()
			synctest.Wait() // until the gateway shuts down; a listener that closes before is an error
			w.front.Close()
			w.tus.Release()
			transport.CloseIdleConnections()
			server.Close()
			serving.Wait()
			synctest.Wait() // for the last requests of the servers
		}()
		f(w)
	})
}

// browser is one connection to the gateway.
type browser struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (w *whole) connect() *browser {
	w.t.Helper()
	conn, err := w.front.dial(w.t.Context(), "", "")
	check(w.t, err)
	w.t.Cleanup(func() { conn.Close() })
	return &browser{w.t, conn, bufio.NewReader(conn)}
}

// begin sends the header of a request with a body of size bytes.
func (b *browser) begin(method, path, contentType string, size int, headers ...string) {
	b.t.Helper()
	_, err := fmt.Fprintf(b, "%s %s HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n",
		method, path, contentType, size, strings.Join(headers, ""))
	check(b.t, err)
}

// post sends the header of a form, and the first n bytes of its content.
func (b *browser) post(path string, form parts, n int, headers ...string) {
	b.t.Helper()
	b.begin("POST", path, form.contentType, len(form.content), headers...)
	_, err := b.Write(form.content[:n])
	check(b.t, err)
}

// response reads the response to a request.
func (b *browser) response() (code int, body string) {
	b.t.Helper()
	resp, err := http.ReadResponse(b.in, nil)
	check(b.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	check(b.t, err)
	return resp.StatusCode, string(text)
}

// wantClosed fails unless the gateway closes the connection.
func (b *browser) wantClosed() {
	b.t.Helper()
	if n, err := b.in.Read(make([]byte, 1)); n > 0 || err == nil {
		b.t.Errorf("the gateway sent data instead of closing the connection")
	}
}

// Occasional bytes must not occupy one of the few uploads.
func TestForm_TricklingBrowserIsCut(t *testing.T) {
	served(t, nil, func(w *whole) {
		form := newForm(t, "a", noise(5000))
		b := w.connect()
		b.begin("POST", "/uploads/"+id, form.contentType, len(form.content))
		trickled := make(chan int)
		go func() {
			for i, c := range form.content {
				if _, err := b.Write([]byte{c}); err != nil {
					trickled <- i
					return
				}
				time.Sleep(10 * time.Second)
			}
			trickled <- len(form.content)
		}()
		if code, body := b.response(); code != http.StatusRequestTimeout {
			t.Errorf("response is %d %s", code, body)
		}
		b.wantClosed()
		b.Close()
		if n := <-trickled; n > 10 {
			t.Errorf("%d bytes were read, one every 10 seconds", n)
		}
	})
}

// The part before the file is short, so it has its own timeout.
func TestForm_SlowHeadIsCut(t *testing.T) {
	served(t, nil, func(w *whole) {
		form := writeForm(t, func(w *multipart.Writer) {
			for range 60 {
				check(t, w.WriteField("a", strings.Repeat("x", 900)))
			}
			addFile(t, w, "a", noise(10))
		})
		b := w.connect()
		b.begin("POST", "/uploads/"+id, form.contentType, len(form.content))
		written := make(chan struct{})
		go func() {
			defer close(written)
			for rest := form.content; len(rest) > 0; time.Sleep(time.Second) {
				n := min(1000, len(rest))
				if _, err := b.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		time.Sleep(11 * time.Second)
		other := w.connect()
		other.begin("GET", "/uploads/"+id, "", 0)
		if code, body := other.response(); code != http.StatusOK || !strings.Contains(body, "too slowly") {
			t.Errorf("the upload is still active: status is %d %s", code, body)
		}
		if code, body := b.response(); code != http.StatusRequestTimeout {
			t.Errorf("response is %d %s", code, body)
		}
		b.Close()
		<-written
	})
}

func TestForm_TotalTimeIsUnlimited(t *testing.T) {
	served(t, nil, func(w *whole) {
		data := noise(4 << 20)
		form := newForm(t, "a", data)
		b := w.connect()
		b.begin("POST", "/uploads/"+id, form.contentType, len(form.content))
		start := time.Now()
		for rest := form.content; len(rest) > 0; {
			n := min(1000, len(rest))
			_, err := b.Write(rest[:n])
			check(t, err)
			rest = rest[n:]
			time.Sleep(time.Second)
		}
		if code, body := b.response(); code != http.StatusAccepted || time.Since(start) < time.Hour {
			t.Errorf("after %s the response is %d %s", time.Since(start), code, body)
		}
		b.begin("GET", "/uploads/"+id+"?wait=true", "", 0)
		if code, body := b.response(); code != http.StatusOK || !strings.Contains(body, `"state":"complete"`) {
			t.Errorf("status is %d %s", code, body)
		}
	})
}

// Time in which the gateway does not read is not idle time.
func TestForm_SlowTusServerDoesNotCutBrowser(t *testing.T) {
	served(t, nil, func(w *whole) {
		w.tus.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(10 * time.Minute)})
		form := newForm(t, "a", noise(200_000))
		b := w.connect()
		b.post("/uploads/"+id, form, len(form.content))
		if code, body := b.response(); code != http.StatusAccepted {
			t.Errorf("response is %d %s", code, body)
		}
	})
}

// The time to read a refused body is limited.
func TestServer_RefusedBodyClosesConnection(t *testing.T) {
	for name, c := range map[string]struct {
		path, contentType string
		code              int
	}{
		"no such path": {"/nowhere", "text/plain", http.StatusNotFound},
		"bad ID":       {"/uploads/short", "text/plain", http.StatusBadRequest},
		"not a form":   {"/uploads", "text/plain", http.StatusUnsupportedMediaType},
	} {
		t.Run(name, func(t *testing.T) {
			served(t, nil, func(w *whole) {
				b := w.connect()
				b.begin("POST", c.path, c.contentType, 1000)
				start := time.Now()
				if code, body := b.response(); code != c.code {
					t.Errorf("response is %d %s", code, body)
				}
				b.wantClosed()
				if took := time.Since(start); took > 2*time.Minute {
					t.Errorf("the connection was open for %s", took)
				}
			})
		})
	}
}

func TestServer_IdleConnectionIsClosed(t *testing.T) {
	served(t, nil, func(w *whole) {
		b := w.connect()
		b.begin("GET", "/", "", 0)
		time.Sleep(time.Hour)
		b.wantClosed()
	})
}

// The upload of a form may fail while its connection already has the next form.
func TestForm_FailureDoesNotAffectNextForm(t *testing.T) {
	var first sync.Once
	stalled, fail := make(chan struct{}), make(chan struct{})
	around := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			refused := false
			if r.Header.Get("Upload-Offset") == "1000" {
				first.Do(func() {
					close(stalled)
					<-fail
					refused = true
				})
			}
			if refused {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	served(t, around, func(w *whole) {
		stalled, fail = make(chan struct{}), make(chan struct{}) // of the bubble
		form := newForm(t, "a", noise(2500))
		b := w.connect()
		b.post("/uploads/"+id+"-1", form, len(form.content))
		if code, body := b.response(); code != http.StatusAccepted {
			t.Fatalf("response is %d %s", code, body)
		}
		<-stalled
		b.post("/uploads/"+id+"-2", form, 500)
		synctest.Wait()
		close(fail)
		other := w.connect()
		other.begin("GET", "/uploads/"+id+"-1?wait=true", "", 0)
		if code, body := other.response(); code != http.StatusOK || !strings.Contains(body, `"state":"failed"`) {
			t.Errorf("status of the first upload is %d %s", code, body)
		}
		_, err := b.Write(form.content[500:])
		check(t, err)
		if code, body := b.response(); code != http.StatusAccepted {
			t.Errorf("response to the second form is %d %s", code, body)
		}
	})
}

// An active form completes, and its page can still request the status.
func TestShutdown_PageGetsFinalStatus(t *testing.T) {
	served(t, nil, func(w *whole) {
		form := newForm(t, "a", noise(5000))
		b := w.connect()
		b.post("/uploads/"+id, form, 3000)
		synctest.Wait()
		start := time.Now()
		w.stop()
		time.Sleep(time.Second)
		_, err := b.Write(form.content[3000:])
		check(t, err)
		if code, body := b.response(); code != http.StatusAccepted {
			t.Errorf("response is %d %s", code, body)
		}
		time.Sleep(time.Second)
		b.begin("GET", "/uploads/"+id+"?wait=true", "", 0)
		if code, body := b.response(); code != http.StatusOK || !strings.Contains(body, `"state":"complete"`) {
			t.Errorf("status is %d %s", code, body)
		}
		b.wantClosed()
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("the gateway ended after %s", took)
		}
	})
}

func TestShutdown_DoesNotEndWait(t *testing.T) {
	served(t, nil, func(w *whole) {
		form := newForm(t, "a", noise(5000))
		b, waiting := w.connect(), w.connect()
		b.post("/uploads/"+id, form, 3000)
		synctest.Wait()
		waiting.begin("GET", "/uploads/"+id+"?wait=true", "", 0)
		synctest.Wait()
		w.stop()
		time.Sleep(time.Second)
		_, err := b.Write(form.content[3000:])
		check(t, err)
		if code, body := waiting.response(); code != http.StatusOK {
			t.Errorf("status is %d %s", code, body)
		}
		b.response()
	})
}

// Pages of other sites must not send forms with the credentials of a visitor.
func TestForm_OfOtherSiteIsRefused(t *testing.T) {
	form := newForm(t, "a", noise(10))
	for header, code := range map[string]int{
		"Sec-Fetch-Site: cross-site\r\n":       http.StatusForbidden,
		"Origin: http://elsewhere.test\r\n":    http.StatusForbidden,
		"Sec-Fetch-Site: same-origin\r\n":      http.StatusAccepted,
		"Origin: http://gateway.test\r\n":      http.StatusAccepted,
		"X-From: a program, not a browser\r\n": http.StatusAccepted,
	} {
		served(t, nil, func(w *whole) {
			b := w.connect()
			b.post("/uploads", form, len(form.content), header)
			if got, body := b.response(); got != code {
				t.Errorf("with %q the response is %d %s", header, got, body)
			}
			synctest.Wait()
			if uploads := len(w.tus.Uploads()); (uploads > 0) != (code == http.StatusAccepted) {
				t.Errorf("with %q there are %d uploads", header, uploads)
			}
		})
	}
}
