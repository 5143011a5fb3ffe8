package fencing_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/examples/fence/fencing"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

// suspension is what a process cannot do while it is suspended: send, disconnect, renew its
// lease. What it was sending follows when it is resumed.
type suspension struct {
	after int // bytes that it sends before

	mu      sync.Mutex
	sent    int
	begun   chan struct{}
	resumed chan struct{}
}

func newSuspension(after int) *suspension {
	return &suspension{after: after, begun: make(chan struct{}), resumed: make(chan struct{})}
}

func (s *suspension) active() bool {
	select {
	case <-s.begun:
		select {
		case <-s.resumed:
		default:
			return true
		}
	default:
	}
	return false
}

// send counts bytes, and waits if the process is suspended.
func (s *suspension) send(n int) {
	s.mu.Lock()
	if s.sent += n; s.sent > s.after && s.sent-n <= s.after {
		close(s.begun)
	}
	s.mu.Unlock()
	if s.active() {
		<-s.resumed
	}
}

// suspendedConn is a connection of a process that is suspended.
type suspendedConn struct {
	net.Conn
	process *suspension
	writing sync.WaitGroup
}

func (c *suspendedConn) Write(p []byte) (int, error) {
	c.writing.Add(1)
	defer c.writing.Done()
	c.process.send(len(p))
	return c.Conn.Write(p)
}

// Close closes the connection behind what is being sent, as the kernel does.
func (c *suspendedConn) Close() error {
	if !c.process.active() {
		return c.Conn.Close()
	}
	go func() {
		c.writing.Wait()
		c.Conn.Close()
	}()
	return nil
}

// suspendedStore is a store as used by a process that is suspended. Its process is on
// another machine than that of the other user.
type suspendedStore struct {
	storage.Store
	machine string
	process *suspension // nil for none
}

func (s *suspendedStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	if s.process != nil && s.process.active() {
		<-s.process.resumed
	}
	if rec = rec.Clone(); rec.Lease != nil {
		rec.Lease.Process = "v2/" + s.machine + "/boot/namespaces/0/1/1"
	}
	return s.Store.Put(ctx, rec)
}

// A worker is suspended in the middle of a PATCH. Another one acquires its lease, and is in
// the middle of the rest when the first one is resumed. The server has no locks.
func TestFence_SuspendedWorkerCorruptsNothing(t *testing.T) {
	for _, guard := range guards {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
			t.Run(guard+"/"+protocol, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					first, second, corrupt := takeover(t, guard, protocol == "HTTP/2")
					if !errors.Is(first, tus.ErrLeaseLost) && !errors.Is(first, tus.ErrStore) {
						t.Errorf("the suspended worker: %v", first)
					}
					if second != nil {
						t.Errorf("its successor: %v", second)
					}
					if want := guard == "none"; corrupt != want {
						t.Errorf("file is corrupt: %v", corrupt)
					}
				})
			})
		}
	}
}

// takeover returns the errors of both workers, and whether the file differs.
func takeover(t *testing.T, guard string, http2 bool) (first, second error, corrupt bool) {
	t.Helper()
	dir, data, store := t.TempDir(), randomBytes(4<<20), &storage.Memory{}
	listener := newPipeListener()
	serve(t, listener, guarded(t, guard, newTusd(t, dir, false), fencing.Options{}))
	process := newSuspension(1_500_000)
	upload := func(machine string, process *suspension, opts tus.UploadOptions, hooks tus.Hooks) (*tus.Result, error) {
		transport := &http.Transport{DialContext: listener.Dial, DisableCompression: true}
		if process != nil {
			transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := listener.Dial(ctx, network, addr)
				return &suspendedConn{Conn: conn, process: process}, err
			}
		}
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP1(!http2)
		transport.Protocols.SetUnencryptedHTTP2(http2)
		defer transport.CloseIdleConnections()
		client, err := tus.NewClient("http://tus.test/files/", &tus.Options{
			Store: &suspendedStore{store, machine, process}, RequireStore: true, FenceHeader: header,
			HTTPClient: &http.Client{Transport: transport}, StallTimeout: -1, Hooks: hooks,
		})
		if err != nil {
			return nil, err
		}
		return client.Upload(context.Background(), tus.Bytes(data), &opts)
	}
	var working sync.WaitGroup
	working.Go(func() { _, first = upload("a", process, tus.UploadOptions{CreationLimit: -1}, tus.Hooks{}) })
	<-process.begun
	slow := tus.Hooks{BeforeRequest: func(r *http.Request) error {
		if r.Method == http.MethodPatch {
			time.Sleep(time.Second)
		}
		return nil
	}}
	var res *tus.Result
	working.Go(func() { res, second = upload("b", nil, tus.UploadOptions{ChunkSize: 200_000}, slow) })
	time.Sleep(65*time.Second + 500*time.Millisecond)
	close(process.resumed)
	working.Wait()
	time.Sleep(time.Minute) // for what the server still reads
	if second != nil {
		return first, second, false
	}
	if res.Stats.ResumedFrom == 0 {
		t.Error("the upload was not resumed")
	}
	return first, second, !equal(stored(t, dir, res.URL), data)
}
