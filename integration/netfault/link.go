package netfault

import (
	"io"
	"net"
	"sync"
)

// link is one proxied connection.
type link struct {
	proxy          *Proxy
	client, server *net.TCPConn
	plan           Plan

	once    sync.Once
	done    chan struct{} // closed when the connection is cut
	halting sync.Once
	halted  chan struct{} // closed when no more bytes may pass
}

func newLink(p *Proxy, client, server *net.TCPConn, plan Plan) *link {
	return &link{
		proxy: p, client: client, server: server, plan: plan,
		done:   make(chan struct{}),
		halted: make(chan struct{}),
	}
}

// run forwards both directions until they have ended.
func (l *link) run() {
	l.plan.Shape.bound(l.client)
	l.plan.Shape.bound(l.server)
	var both sync.WaitGroup
	both.Go(func() { l.forward(Up, l.client, l.server) })
	both.Go(func() { l.forward(Down, l.server, l.client) })
	both.Wait()
	l.close()
}

// forward forwards the bytes of one direction.
func (l *link) forward(d Direction, src, dst *net.TCPConn) {
	out := l.plan.Shape.line(dst, d, l.done)
	defer out.finish()
	triggers := newTriggers(l.plan.Faults, d)
	buf := make([]byte, 64<<10)
	var data []byte
	for {
		for _, t := range triggers {
			if t.due() {
				t.fired = true
				l.proxy.fired.Add(1)
				if ended := l.apply(t.fault, src, dst, out); ended {
					return
				}
			}
		}
		if len(data) == 0 {
			n, err := src.Read(buf)
			if l.isHalted() {
				l.park()
				return
			}
			if n == 0 && err != nil {
				l.end(err, out)
				return
			}
			data = buf[:n]
		}
		pass := len(data)
		for _, t := range triggers {
			pass = min(pass, t.scan(data))
		}
		for _, t := range triggers {
			if t.ends(data[:pass]) { // before a response to these bytes can pass
				l.halt()
			}
		}
		if _, err := out.Write(data[:pass]); err != nil {
			l.reset()
			return
		}
		l.proxy.moved[d].Add(int64(pass))
		for _, t := range triggers {
			t.advance(data[:pass])
		}
		data = data[pass:]
	}
}

// apply applies a fault and reports whether it ended its direction.
func (l *link) apply(f Fault, src, dst *net.TCPConn, out line) (ended bool) {
	ended = true
	switch f.Do {
	case Pass:
		ended = false
	case Close:
		out.finish()
		l.close()
	case Reset:
		out.finish()
		l.reset()
	case Stall:
		l.halt()
	case Swallow:
	case Truncate:
		out.finish()
		dst.CloseWrite()
	}
	if f.Then != nil {
		f.Then()
	}
	switch f.Do {
	case Stall:
		l.park()
	case Swallow, Truncate:
		io.Copy(io.Discard, src)
		if f.Do == Swallow {
			l.park()
		}
	}
	return ended
}

// end forwards the end or reset of a direction.
func (l *link) end(err error, out line) {
	if err != io.EOF {
		l.reset()
		return
	}
	out.finish()
	out.closeWrite()
}

// halt blocks all bytes except those being written.
func (l *link) halt() { l.halting.Do(func() { close(l.halted) }) }

func (l *link) isHalted() bool {
	select {
	case <-l.halted:
		return true
	default:
		return false
	}
}

// park waits until the connection is cut by the other direction or the proxy.
func (l *link) park() { <-l.done }

func (l *link) close() {
	l.once.Do(func() {
		close(l.done)
		// A close with unread bytes sends a reset, so send a FIN first.
		l.client.CloseWrite()
		l.server.CloseWrite()
		l.client.Close()
		l.server.Close()
	})
}

func (l *link) reset() {
	l.once.Do(func() {
		close(l.done)
		l.client.SetLinger(0)
		l.server.SetLinger(0)
		l.client.Close()
		l.server.Close()
	})
}
