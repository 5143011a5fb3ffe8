package faults

import (
	"net"
	"sync"
)

// Listener is a net.Listener that can reset connections right after it accepted
// them, as a firewall or a load balancer without servers does.
//
//	server := httptest.NewUnstartedServer(handler)
//	listener := &faults.Listener{Listener: server.Listener}
//	server.Listener = listener
//	server.Start()
//	listener.Reset(3)
//
// Open connections are not affected: a client notices a reset only on a new
// connection.
type Listener struct {
	net.Listener

	mu   sync.Mutex
	left int
	done int
}

// Reset resets the next n connections. A negative n resets all further connections,
// 0 none.
func (l *Listener) Reset(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = n
}

// Resets returns the number of connections that were reset.
func (l *Listener) Resets() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done
}

// Accept returns the next connection that is not reset.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || !l.hit() {
			return conn, err
		}
		reset(conn)
	}
}

// hit reports whether to reset the current connection, and counts it.
func (l *Listener) hit() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left == 0 {
		return false
	}
	l.left-- // a negative count never ends
	l.done++
	return true
}

// reset closes a connection with a TCP reset.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
