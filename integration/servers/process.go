//go:build unix

package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// guard runs a command in a process group that ends with the parent: when the pipe on standard
// input breaks, because the parent closed it or died, the whole group is killed. The standard
// input of the command is file 3.
const guard = `exec 9<&0; { cat <&9; kill -9 0; } >/dev/null 2>&1 & exec 9<&- "$@" <&3 3<&-`

// Process is a running command with its children.
type Process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	log   tail
	done  chan struct{} // closed when the command has ended
}

// StartProcess starts cmd, which must not be started, in its own process group. The group is
// killed when this process ends, however it ends. The standard input of cmd is a file or nil.
func StartProcess(cmd *exec.Cmd) (*Process, error) {
	if cmd.Err != nil {
		if errors.Is(cmd.Err, exec.ErrNotFound) {
			return nil, fmt.Errorf("%s is %w", cmd.Path, ErrNotInstalled)
		}
		return nil, cmd.Err
	}
	input, ok := cmd.Stdin.(*os.File)
	if !ok {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return nil, err
		}
		defer null.Close()
		input = null
	}
	p := &Process{name: filepath.Base(cmd.Path), done: make(chan struct{})}
	p.cmd = exec.Command("/bin/sh", slices.Concat([]string{"-c", guard, "sh", cmd.Path}, cmd.Args[1:])...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr
	if p.cmd.Stdout == nil {
		p.cmd.Stdout = &p.log
	}
	if p.cmd.Stderr == nil {
		p.cmd.Stderr = &p.log
	}
	p.cmd.ExtraFiles = []*os.File{input}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = time.Second // a child of the command may keep the pipe open
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // the exit status is in ProcessState
	}()
	return p, nil
}

// Signal sends a signal to the command, but not to its children.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Wait waits until the command has ended and returns its exit code, which is -1 after a signal.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return -1, fmt.Errorf("%s did not end: %w", p.name, ctx.Err())
	}
}

// Kill sends SIGKILL to the process and its children, and waits for its end.
func (p *Process) Kill() error {
	err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		err = nil
	}
	_ = p.stdin.Close()
	<-p.done
	return err
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Log returns the end of what the process wrote to standard output and standard error.
func (p *Process) Log() string { return p.log.String() }

// readyTimeout bounds the start of a server.
const readyTimeout = 20 * time.Second

// WaitReady waits until addr accepts connections. If the process ends before, the error has its
// log.
func (p *Process) WaitReady(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var dialer net.Dialer
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %v: %s", p.name, p.cmd.ProcessState, p.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w: %s", p.name, addr, err, p.Log())
		case <-retry.C:
		}
	}
}

// FreeAddr returns a loopback address with a port that is free now.
func FreeAddr() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// tail keeps the last bytes of a log.
type tail struct {
	mu   sync.Mutex
	data []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if len(t.data) > 2*tailSize {
		t.data = append([]byte(nil), t.data[len(t.data)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.data[max(0, len(t.data)-tailSize):]))
}

// hostPort splits an address of FreeAddr.
func hostPort(addr string) (host, port string) {
	host, port, _ = net.SplitHostPort(addr)
	return host, port
}
