package netfault_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/integration/netfault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is a server that records the bytes of each connection and sends its reply
// when the client has closed its side.
type peer struct {
	addr  string
	reply []byte

	mu  sync.Mutex
	got [][]byte
	err []error
	end chan struct{} // one token for each connection that ended
}

func newPeer(t *testing.T, reply []byte) *peer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{addr: listener.Addr().String(), reply: reply, end: make(chan struct{}, 100)}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return p
}

func (p *peer) serve(c net.Conn) {
	defer c.Close()
	data, err := io.ReadAll(c)
	p.mu.Lock()
	p.got, p.err = append(p.got, data), append(p.err, err)
	p.mu.Unlock()
	p.end <- struct{}{}
	c.Write(p.reply)
}

// received waits for a connection to end and returns the bytes of the last one.
func (p *peer) received() ([]byte, error) {
	<-p.end
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got[len(p.got)-1], p.err[len(p.err)-1]
}

// exchange sends data through the proxy, closes its side, and returns the reply.
func exchange(proxy *netfault.Proxy, data []byte) (reply []byte, err error) {
	c, err := net.Dial("tcp", proxy.Addr())
	if err != nil { // a reset may come before Dial has returned
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Write(data); err != nil {
		return nil, err
	}
	c.(*net.TCPConn).CloseWrite()
	return io.ReadAll(c)
}

var noise = bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz\n"), 20_000)

func TestProxy_ForwardsBothDirections(t *testing.T) {
	server := newPeer(t, noise[5:])
	proxy := netfault.New(t, server.addr)
	reply, err := exchange(proxy, noise)
	if err != nil {
		t.Fatal(err)
	}
	got, err := server.received()
	if err != nil || !bytes.Equal(got, noise) || !bytes.Equal(reply, noise[5:]) {
		t.Errorf("%d bytes arrived (%v), %d in the reply", len(got), err, len(reply))
	}
	if up, down := proxy.Moved(netfault.Up), proxy.Moved(netfault.Down); up != int64(len(noise)) || down != int64(len(noise)-5) {
		t.Errorf("counted %d up, %d down", up, down)
	}
}

func TestProxy_ShapedForwardsBothDirections(t *testing.T) {
	server := newPeer(t, noise[5:])
	proxy := netfault.New(t, server.addr)
	proxy.Always(netfault.Plan{Shape: netfault.Shape{RoundTrip: 2 * time.Millisecond, Rate: 50 << 20}})
	reply, err := exchange(proxy, noise)
	got, gotErr := server.received()
	if err != nil || gotErr != nil || !bytes.Equal(got, noise) || !bytes.Equal(reply, noise[5:]) {
		t.Errorf("%d bytes arrived (%v), %d in the reply (%v)", len(got), gotErr, len(reply), err)
	}
}

func TestFault_CutPassesExactBytes(t *testing.T) {
	// The mark is found independent of how the stream is split into reads.
	const prefix, mark = 100_000, "--body--"
	data := append(append(bytes.Clone(noise[:prefix]), mark...), noise...)
	for _, action := range []netfault.Action{netfault.Close, netfault.Truncate} {
		for _, after := range []int64{0, 1, 70_000} {
			server := newPeer(t, nil)
			proxy := netfault.New(t, server.addr)
			proxy.Next(netfault.Plan{Faults: []netfault.Fault{{
				In: netfault.Up, Since: []string{"0123", mark[:4], mark[4:]}, After: after, Do: action,
			}}})
			exchange(proxy, data)
			got, err := server.received()
			if want := data[:prefix+len(mark)+int(after)]; err != nil || !bytes.Equal(got, want) {
				t.Errorf("action %d after %d: %d bytes arrived, want %d (%v)", action, after, len(got), len(want), err)
			}
			if proxy.Fired() != 1 {
				t.Errorf("%d faults fired", proxy.Fired())
			}
		}
	}
}

func TestFault_ResetReachesBothSides(t *testing.T) {
	server := newPeer(t, nil)
	proxy := netfault.New(t, server.addr)
	proxy.Next(netfault.Plan{Faults: []netfault.Fault{{In: netfault.Up, After: 10, Do: netfault.Reset}}})
	if _, err := exchange(proxy, noise); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("client saw %v", err)
	}
	if _, err := server.received(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("server saw %v", err)
	}
}

func TestFault_CutBlocksReplyToLastBytes(t *testing.T) {
	const size = 1000
	for _, action := range []netfault.Action{netfault.Close, netfault.Reset} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		replied := make(chan struct{})
		go func() {
			defer close(replied)
			c, err := listener.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			io.CopyN(io.Discard, c, size)
			c.Write(noise[:100])
		}()
		proxy := netfault.New(t, listener.Addr().String())
		proxy.Next(netfault.Plan{Faults: []netfault.Fault{
			{In: netfault.Up, After: size, Then: func() { <-replied }},
			{In: netfault.Up, After: size, Do: action},
		}})
		reply, err := exchange(proxy, noise[:size])
		if len(reply) > 0 || action == netfault.Reset && err == nil {
			t.Errorf("action %d: %d bytes of the reply arrived, %v", action, len(reply), err)
		}
	}
}

func TestFault_TruncatedDirectionGetsReply(t *testing.T) {
	server := newPeer(t, []byte("that was short"))
	proxy := netfault.New(t, server.addr)
	proxy.Next(netfault.Plan{Faults: []netfault.Fault{{In: netfault.Up, After: 10, Do: netfault.Truncate}}})
	reply, err := exchange(proxy, noise)
	if err != nil || string(reply) != "that was short" {
		t.Errorf("client got %q, %v", reply, err)
	}
}

func TestFault_StallLastsUntilProxyCloses(t *testing.T) {
	server := newPeer(t, []byte("never arrives"))
	proxy := netfault.New(t, server.addr)
	stalled := make(chan struct{})
	proxy.Next(netfault.Plan{Faults: []netfault.Fault{{
		In: netfault.Up, After: 10, Do: netfault.Stall, Then: func() { close(stalled) },
	}}})
	result := make(chan error)
	go func() {
		_, err := exchange(proxy, noise)
		result <- err
	}()
	<-stalled
	select {
	case err := <-result:
		t.Errorf("client saw the end: %v", err)
	case <-server.end:
		t.Error("server saw the end")
	default:
	}
	proxy.Close()
	if err := <-result; err == nil {
		t.Error("client did not see the end")
	}
}

func TestFault_SwallowedReplyNeverArrives(t *testing.T) {
	server := newPeer(t, noise)
	proxy := netfault.New(t, server.addr)
	proxy.Next(netfault.Plan{Faults: []netfault.Fault{{In: netfault.Down, After: 3, Do: netfault.Swallow}}})
	c, err := net.Dial("tcp", proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("hello"))
	c.(*net.TCPConn).CloseWrite()
	start := make([]byte, 3)
	if _, err := io.ReadFull(c, start); err != nil {
		t.Fatal(err)
	}
	server.received()
	proxy.ResetAll()
	rest, err := io.ReadAll(c)
	if len(rest) > 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%d bytes more, %v", len(rest), err)
	}
}

func TestProxy_NextPlansPrecedeAlways(t *testing.T) {
	server := newPeer(t, nil)
	proxy := netfault.New(t, server.addr)
	cut := func(after int64) netfault.Plan {
		return netfault.Plan{Faults: []netfault.Fault{{In: netfault.Up, After: after, Do: netfault.Close}}}
	}
	proxy.Next(cut(5), cut(6))
	proxy.Always(cut(7))
	var lengths []int
	for range 4 {
		exchange(proxy, []byte("hello world"))
		got, _ := server.received()
		lengths = append(lengths, len(got))
	}
	if !slices.Equal(lengths, []int{5, 6, 7, 7}) || proxy.Accepted() != 4 {
		t.Errorf("lengths are %v of %d connections", lengths, proxy.Accepted())
	}
}

func TestProxy_DeadServerResetsClient(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	proxy := netfault.New(t, addr)
	if _, err := exchange(proxy, noise); err == nil {
		t.Error("client saw no error")
	}
	if got := proxy.Through("http://example.org/files/?a=b"); !strings.HasSuffix(got, proxy.Addr()+"/files/?a=b") {
		t.Errorf("Through returned %s", got)
	}
}
