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

// Roles returns the child processes of this package, for [child.Main].
func Roles() []child.Role {
	return []child.Role{
		{Name: serverRole, Run: runServer},
		{Name: sinkRole, Run: runSink},
	}
}

// ProcessOptions configures a tusd in its own process.
type ProcessOptions struct {
	// FileLocks keeps locks in files, which survive a kill of the process, instead
	// of in memory.
	FileLocks bool
}

// Process is a tusd in its own process. Its journal has no Received, because the
// process may be killed at any time. A request may appear in it shortly after its
// response; after Kill the journal is complete.
type Process struct {
	Store
	Journal
	t    testing.TB
	opts ProcessOptions

	mu    sync.Mutex
	addr  string
	child *child.Process
}

// serverConfig is the configuration of the child, sent by the parent.
type serverConfig struct {
	Dir       string
	Addr      string
	FileLocks bool
}

// serverEvent is an event of the child: first its address, then each request.
type serverEvent struct {
	Addr    string   `json:",omitempty"`
	Request *Request `json:",omitempty"`
}

// StartProcess runs a tusd on a loopback port in a child process. It is killed at
// the end of the test.
func StartProcess(t testing.TB, opts ProcessOptions) *Process {
	t.Helper()
	p := &Process{Store: Store{t.TempDir()}, t: t, opts: opts, addr: "127.0.0.1:0"}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// Start restarts the process after Kill, with the same port and directory.
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

// Kill sends SIGKILL to the process and waits for its end.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.child.Kill()
}

// Endpoint returns the upload creation URL.
func (p *Process) Endpoint() string { return "http://" + p.Addr() + basePath }

// Addr returns host and port.
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
		emit(serverEvent{Request: newRequest(r)})
		tusd.ServeHTTP(w, r)
	}))
}

// serve sends its address to the parent and serves until ctx ends.
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

// listen waits up to 10 seconds for a port that is in use: the kernel may have
// given it to an outgoing connection while the server was dead.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		listener, err := net.Listen("tcp", addr)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return listener, err
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}
