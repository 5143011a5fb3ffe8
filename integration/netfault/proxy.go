// Package netfault is a TCP proxy for tests that cuts, stalls, delays and throttles
// connections at exact positions in the byte stream.
package netfault

import (
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// Direction is one of the two streams of a connection.
type Direction int

const (
	// Up goes from the client to the server.
	Up Direction = iota
	// Down goes from the server to the client.
	Down
)

// Plan configures one connection. The zero value forwards everything.
type Plan struct {
	// Faults each fire at most once. The first that ends the connection ends the
	// plan.
	Faults []Fault
	// Shape slows the connection down.
	Shape Shape
}

// Proxy forwards connections to a server according to its plans. It is safe for
// concurrent use.
type Proxy struct {
	listener net.Listener
	target   string
	moved    [2]atomic.Int64 // by Direction
	fired    atomic.Int64
	done     chan struct{}
	running  sync.WaitGroup

	mu       sync.Mutex
	next     []Plan
	always   Plan
	accepted int
	open     map[*link]struct{}
	closed   bool
}

// New starts a proxy on a loopback port to target, a host and port. It is closed at
// the end of the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		listener: listener, target: target,
		done: make(chan struct{}),
		open: map[*link]struct{}{},
	}
	p.running.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// Addr returns the host and port that clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Through returns rawURL with the proxy's host and port.
func (p *Proxy) Through(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return rawURL
	}
	u.Host = p.Addr()
	return u.String()
}

// Next sets the plans of the next connections, one each. It replaces unused plans of
// earlier calls.
func (p *Proxy) Next(plans ...Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = plans
}

// Always sets the plan of connections without a plan of Next.
func (p *Proxy) Always(plan Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.always = plan
}

// Accepted returns the number of accepted connections.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Fired returns the number of faults that fired. A test that relies on a fault
// should check it.
func (p *Proxy) Fired() int { return int(p.fired.Load()) }

// Moved returns the number of bytes forwarded in a direction, over all connections.
func (p *Proxy) Moved(d Direction) int64 { return p.moved[d].Load() }

// ResetAll resets all connections that are open now.
func (p *Proxy) ResetAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.open {
		l.reset()
	}
}

// Close resets all connections and waits for the goroutines of the proxy.
func (p *Proxy) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.done)
		p.listener.Close()
		for l := range p.open {
			l.reset()
		}
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the client closed the connection before Accept
		}
		p.running.Go(func() { p.serve(c.(*net.TCPConn), p.plan()) })
	}
}

// plan returns and removes the plan of the next connection.
func (p *Proxy) plan() Plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted++
	if len(p.next) == 0 {
		return p.always
	}
	plan := p.next[0]
	p.next = p.next[1:]
	return plan
}

// serve forwards one connection until both its directions have ended.
func (p *Proxy) serve(client *net.TCPConn, plan Plan) {
	c, err := net.Dial("tcp", p.target)
	if err != nil { // reset, as the dead server would
		client.SetLinger(0)
		client.Close()
		return
	}
	l := newLink(p, client, c.(*net.TCPConn), plan)
	if !p.register(l) {
		l.reset()
		return
	}
	l.run()
	p.mu.Lock()
	delete(p.open, l)
	p.mu.Unlock()
}

func (p *Proxy) register(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.open[l] = struct{}{}
	return true
}
