package tus_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// frame returns an HTTP/2 frame.
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := make([]byte, 9, 9+len(payload))
	b[0], b[1], b[2] = byte(len(payload)>>16), byte(len(payload)>>8), byte(len(payload))
	b[3], b[4] = kind, flags
	binary.BigEndian.PutUint32(b[5:], stream)
	return append(b, payload...)
}

// goAway responds to the first request of an HTTP/2 connection with GOAWAY, as a server
// that restarts does. It does not handle the request.
func goAway(c net.Conn) {
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(2 * time.Second)) // the last connection has no request
	const preface, settings, headers, goAway = 24, 4, 1, 7
	if _, err := io.CopyN(io.Discard, c, preface); err != nil {
		return
	}
	c.Write(frame(settings, 0, 0, nil))
	for head := make([]byte, 9); ; {
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		size := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, c, size); err != nil {
			return
		}
		if head[3] == headers {
			c.Write(frame(goAway, 0, 0, make([]byte, 8)))
			c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // the client keeps it open
			io.Copy(io.Discard, c)                                   // unread bytes would reset the connection
			return
		}
	}
}

func TestGoAway_OnEachConnectionUsesUpTheRetries(t *testing.T) {
	certificate := httptest.NewTLSServer(http.NotFoundHandler())
	config := &tls.Config{Certificates: certificate.TLS.Certificates, NextProtos: []string{"h2"}}
	roots := certificate.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	certificate.Close()
	for way, opts := range map[string]*tus.UploadOptions{
		"creation":             whole(),
		"creation with upload": {},
		"PATCH":                nil, // of an external upload URL
	} {
		t.Run(way, func(t *testing.T) {
			listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
			if err != nil {
				t.Fatal(err)
			}
			var connections atomic.Int64
			var serving sync.WaitGroup
			defer serving.Wait()
			defer listener.Close()
			serving.Go(func() {
				for {
					c, err := listener.Accept()
					if err != nil {
						return
					}
					connections.Add(1)
					serving.Go(func() { goAway(c) })
				}
			})
			endpoint := "https://" + listener.Addr().String() + "/files/"
			url := ""
			if opts == nil {
				url = endpoint + "1"
			}
			transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
			retry := retryAtOnce()
			retry.MaxRetries = 2
			client := newClient(t, endpoint, &tus.Options{
				HTTPClient: &http.Client{Transport: transport}, Capabilities: withCreationUpload(), Retry: retry,
			})
			defer client.CloseIdleConnections() // ends the connection without a request
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			u, err := prepare(client, url, tus.Bytes(randomBytes(1000)), opts)
			if err != nil {
				t.Fatal(err)
			}
			res, err := u.Run(ctx)
			wantError(t, err, tus.ErrStalled)
			// Three requests with at most 11 connections each, and one that the transport may
			// have opened before it noticed that the request was canceled.
			if res.Stats.Retries != 2 || connections.Load() > 3*12 {
				t.Errorf("%d retries, %d connections", res.Stats.Retries, connections.Load())
			}
		})
	}
}

// blackHole forwards connections. After kill, the connections that were open by then
// transfer nothing more; new ones are forwarded.
type blackHole struct {
	net.Listener
	mu    sync.Mutex
	made  int
	dead  chan struct{} // closed by kill
	conns []net.Conn
}

func newBlackHole(t *testing.T, target string) *blackHole {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &blackHole{Listener: listener, dead: make(chan struct{})}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", target)
			if err != nil {
				c.Close()
				continue
			}
			b.mu.Lock()
			b.made++
			b.conns = append(b.conns, c, to)
			dead := b.dead
			b.mu.Unlock()
			serving.Go(func() { forward(to, c, dead) })
			serving.Go(func() { forward(c, to, dead) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		b.mu.Lock()
		for _, c := range b.conns {
			c.Close()
		}
		b.mu.Unlock()
		serving.Wait()
	})
	return b
}

func forward(to, from net.Conn, dead <-chan struct{}) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		select {
		case <-dead:
			io.Copy(io.Discard, from)
			return
		default:
			to.Write(buffer[:n])
		}
	}
}

func (b *blackHole) kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.dead)
	b.dead = make(chan struct{})
}

func TestRetry_DeadIdleConnectionsCostOneRetry(t *testing.T) {
	t.Parallel() // mostly waits
	const idle = 12
	srv := tustest.NewServer(t, nil)
	hole := newBlackHole(t, srv.HTTP.Listener.Addr().String())
	client := newClient(t, "http://"+hole.Addr().String()+"/files/", &tus.Options{StallTimeout: 2 * time.Second, ResponseTimeout: 10 * time.Second})
	all := newRequestBarrier(idle)
	srv.Inject(tustest.Fault{Method: "POST", Times: idle, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		all.wait(r.Context())
		h.Serve(w, r)
	}})
	var uploads sync.WaitGroup
	for range idle {
		uploads.Go(func() {
			if _, err := client.Upload(testContext(t), tus.Bytes([]byte("small")), whole()); err != nil {
				t.Error(err)
			}
		})
	}
	uploads.Wait()
	hole.kill()
	data := randomBytes(100_000)
	res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if res.Stats.Retries > 2 { // of eight
		t.Errorf("%d retries", res.Stats.Retries)
	}
}

func TestRetry_DeadHTTP2ConnectionIsReplaced(t *testing.T) {
	t.Parallel() // mostly waits
	h, endpoint, options := http2Server(t)
	target, err := http.NewRequest(http.MethodGet, endpoint, nil)
	if err != nil {
		t.Fatal(err)
	}
	hole := newBlackHole(t, target.URL.Host)
	options.StallTimeout = 2 * time.Second
	client := newClient(t, "https://"+hole.Addr().String()+"/files/", options)
	data := randomBytes(100_000)
	u, err := client.NewUploader(tus.Bytes(data), &tus.UploadOptions{ChunkSize: 10_000, StopAt: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	hole.kill()
	res, err := u.Run(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, h, res.URL, data)
	if res.Stats.Retries > 3 { // of eight
		t.Errorf("%d retries", res.Stats.Retries)
	}
}
