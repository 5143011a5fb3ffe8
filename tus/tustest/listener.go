package tustest

import (
	"net"
	"sync"
)

// Listener is a net.Listener that can reset connections as soon as it accepted
// them, as a server does whose processes are gone while their port is still
// served, or a firewall.
//
//	server := httptest.NewUnstartedServer(handler)
//	listener := &tustest.Listener{Listener: server.Listener}
//	server.Listener = listener
//	server.Start()
//	listener.Reset(3)
//
// A client that keeps connections alive has to open a new one first to notice.
type Listener struct {
	net.Listener

	mu   sync.Mutex
	left int
	done int
}

// Reset makes the next n connections end at once; a negative n all that follow,
// 0 none.
func (l *Listener) Reset(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = n
}

// Resets returns how many connections were reset so far.
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

// hit tells whether the connection at hand is to be reset.
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

// reset closes a connection as a machine that crashed does.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
