package tusdtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
)

const (
	serverRole = "tusd"
	sinkRole   = "sink"
)

// Roles are the child processes of this package, for [child.Main].
func Roles() []child.Role {
	return []child.Role{
		{Name: serverRole, Run: runServer},
		{Name: sinkRole, Run: runSink},
	}
}

// ProcessOptions says what a tusd in its own process is like.
type ProcessOptions struct {
	// FileLocks keeps the locks in files, which stay behind when the process is
	// killed, instead of in memory.
	FileLocks bool
}

// Process is a tusd in a process of its own. Its journal tells no Received, as
// the process may be killed at any time, and may tell of a request a moment after
// its answer: all is there once Kill has returned.
type Process struct {
	Store
	Journal
	t    testing.TB
	opts ProcessOptions

	mu    sync.Mutex
	addr  string
	child *child.Process
}

// serverConfig is what the parent tells the child.
type serverConfig struct {
	Dir       string
	Addr      string
	FileLocks bool
}

// serverEvent is what the child tells the parent: first its address, then each
// request when it arrives.
type serverEvent struct {
	Addr    string   `json:",omitempty"`
	Request *Request `json:",omitempty"`
}

// StartProcess runs a tusd on a loopback port in a child process, until the end
// of the test.
func StartProcess(t testing.TB, opts ProcessOptions) *Process {
	t.Helper()
	p := &Process{Store: Store{t.TempDir()}, t: t, opts: opts, addr: "127.0.0.1:0"}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// Start starts the process again after Kill, on the same port and folder.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	ready := make(chan string, 1)
	c, err := child.Start(p.t, serverRole, serverConfig{p.dir, p.addr, p.opts.FileLocks}, func(line json.RawMessage) {
		var e serverEvent
		if json.Unmarshal(line, &e) != nil {
			return
		}
		if e.Addr != "" {
			ready <- e.Addr
		}
		if e.Request != nil {
			p.add(e.Request)
		}
	})
	if err != nil {
		return err
	}
	select {
	case p.addr = <-ready:
	case <-c.Done():
		return fmt.Errorf("tusd did not start: %w", c.Wait(context.Background()))
	}
	p.child = c
	return nil
}

// Kill ends the process as kill -9 does, and returns when it is gone.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.child.Kill()
}

// Endpoint is the upload creation URL.
func (p *Process) Endpoint() string { return "http://" + p.Addr() + basePath }

// Addr is host and port.
func (p *Process) Addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

// runServer is the child process.
func runServer(ctx context.Context, encoded []byte, emit func(any)) error {
	var c serverConfig
	if err := json.Unmarshal(encoded, &c); err != nil {
		return err
	}
	var locker handler.Locker = memorylocker.New()
	if c.FileLocks {
		locker = FileLocker(c.Dir)
	}
	tusd, err := newHandler(newConfig(c.Dir, locker))
	if err != nil {
		return err
	}
	return serve(ctx, c.Addr, emit, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		emit(serverEvent{Request: describe(r)})
		tusd.ServeHTTP(w, r)
	}))
}

// serve tells the parent the address and serves until ctx ends.
func serve(ctx context.Context, addr string, emit func(any), h http.Handler) error {
	listener, err := listen(ctx, addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	emit(serverEvent{Addr: listener.Addr().String()})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// listen waits a while for a port that is in use: the kernel may have lent it
// to an outgoing connection while the server was dead.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		listener, err := net.Listen("tcp", addr)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return listener, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}
