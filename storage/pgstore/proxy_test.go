package pgstore_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
)

// proxy is a TCP proxy between the store and the server.
type proxy struct {
	server string
	listen net.Listener
	group  sync.WaitGroup

	mu     sync.Mutex
	pairs  []*pair
	frozen bool // new connections are frozen as well
	lose   int  // responses that are lost
}

// pair is a connection of a client and the one to the server.
type pair struct {
	client, server net.Conn
	frozen         chan struct{} // closed when the pair is frozen: it then transfers nothing
	closed         chan struct{}
}

// newProxy starts a proxy to the server of a connection string, and returns the connection
// string over the proxy.
func newProxy(t *testing.T, server string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: u.Host, listen: listen}
	p.group.Go(p.accept)
	t.Cleanup(func() {
		listen.Close()
		p.cut()
		p.group.Wait()
	})
	u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(listen.Addr().(*net.TCPAddr).Port))
	return p, u.String()
}

func (p *proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		c := &pair{client, server, make(chan struct{}), make(chan struct{})}
		p.mu.Lock()
		if p.frozen {
			close(c.frozen)
		}
		p.pairs = append(p.pairs, c)
		p.mu.Unlock()
		p.group.Go(func() { p.copy(c, server, client, func() bool { return false }) })
		p.group.Go(func() { p.copy(c, client, server, p.losesResponse) })
	}
}

// copy copies data until one side ends, the pair is closed, or lost returns true.
func (p *proxy) copy(c *pair, to io.Writer, from io.Reader, lost func() bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-c.frozen:
			<-c.closed
			return
		default:
		}
		if n > 0 && !lost() {
			_, err = to.Write(buffer[:n])
		} else if err == nil {
			err = errors.New("response lost")
		}
		if err != nil {
			c.client.Close()
			c.server.Close()
			return
		}
	}
}

func (p *proxy) losesResponse() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose == 0 {
		return false
	}
	p.lose--
	return true
}

// loseResponses closes a connection instead of transferring the next response, n times.
func (p *proxy) loseResponses(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = n
}

// lost reports whether all responses were lost that should be.
func (p *proxy) lost() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lose == 0
}

// freeze lets the connections transfer nothing more, like a cable that is pulled. all
// includes connections that are made later.
func (p *proxy) freeze(all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = all
	for _, c := range p.pairs {
		select {
		case <-c.frozen:
		default:
			close(c.frozen)
		}
	}
}

// cut closes all connections, and ends freeze.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = false
	for _, c := range p.pairs {
		close(c.closed)
		c.client.Close()
		c.server.Close()
	}
	p.pairs = nil
}
