package send

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"
)

var errStalled = errors.New("stalled")

// startTimer starts a timer for a request on conn, and returns the context that it cuts.
func startTimer(t *testing.T, conn net.Conn) (*StallTimer, context.Context) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	s := &StallTimer{Timeout: 30 * time.Second, Response: time.Hour, Cut: cancel, Err: errStalled}
	s.Start()
	t.Cleanup(s.Stop)
	s.Trace().GotConn(httptrace.GotConnInfo{Conn: conn})
	return s, ctx
}

// A file on a network file system may keep sendfile waiting for minutes.
func TestStallTimer_PausesWhileKernelReadsFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		s, ctx := startTimer(t, client)
		done := s.kernelSends()
		time.Sleep(10 * time.Minute)
		if err := context.Cause(ctx); err != nil {
			t.Fatal(err)
		}
		done()
		time.Sleep(time.Minute)
		if err := context.Cause(ctx); !errors.Is(err, errStalled) {
			t.Errorf("cause is %v", err)
		}
	})
}

// sharedConn is a connection that carries several requests.
type sharedConn struct{ net.Conn }

func (sharedConn) ConnectionState() tls.ConnectionState {
	return tls.ConnectionState{NegotiatedProtocol: "h2"}
}
func (c sharedConn) NetConn() net.Conn { return c.Conn }

// The send queue of a connection that is shared may be filled by other requests.
func TestStallTimer_IgnoresQueueOfSharedConnection(t *testing.T) {
	conn := fullConn(t)
	for name, c := range map[string]struct {
		conn net.Conn
		cut  bool // by Timeout and not by Response
	}{"own": {conn, unsentBytes(conn) > 0}, "shared": {sharedConn{conn}, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, ctx := startTimer(t, c.conn)
				s.Trace().WroteRequest(httptrace.WroteRequestInfo{})
				time.Sleep(time.Minute)
				if cause := context.Cause(ctx); (cause != nil) != c.cut {
					t.Errorf("cause is %v", cause)
				}
			})
		})
	}
}

// fullConn is a connection whose peer does not read.
func fullConn(t *testing.T) net.Conn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	client.Write(make([]byte, 32<<20))
	return client
}
