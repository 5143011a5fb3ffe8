// Package child runs parts of a test in processes of their own, which can be
// killed at any moment. The processes are further copies of the test binary, so
// that nothing has to be built for them.
//
// A test package that uses it says in TestMain what its children can do:
//
//	func TestMain(m *testing.M) {
//		child.Main(tusdtest.Roles()...)
//		os.Exit(m.Run())
//	}
package child

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
)

const (
	roleVariable   = "TUS_INTEGRATION_ROLE"
	configVariable = "TUS_INTEGRATION_CONFIG"
)

// Role is something that a child process can do.
type Role struct {
	// Name is what [Start] calls it.
	Name string
	// Run does it until it is done or ctx ends, which happens when the parent
	// stops the child or dies. config is the JSON of what Start was given. emit
	// tells the parent something; it may be called from any goroutine, and what
	// it was given reaches the parent even if the child is killed right after.
	Run func(ctx context.Context, config []byte, emit func(any)) error
}

// Main plays the role that this process was started for and does not return. In
// a process that was not started by [Start] it does nothing.
func Main(roles ...Role) {
	name := os.Getenv(roleVariable)
	if name == "" {
		return
	}
	for _, role := range roles {
		if role.Name == name {
			os.Exit(play(role))
		}
	}
	fmt.Fprintf(os.Stderr, "child: no role %q\n", name)
	os.Exit(2)
}

func play(role Role) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	go func() { // an orphan must not live on
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	var mu sync.Mutex
	emit := func(event any) {
		line, err := json.Marshal(event)
		if err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		os.Stdout.Write(append(line, '\n'))
	}
	if err := role.Run(ctx, []byte(os.Getenv(configVariable)), emit); err != nil {
		fmt.Fprintf(os.Stderr, "child %s: %v\n", role.Name, err)
		return 1
	}
	return 0
}

// Process is a running child.
type Process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer // to be read after done
	done   chan struct{}
	err    error // of the exit, set before done is closed
}

// Start starts a copy of the running binary in the role of that name. event is
// called with each thing that the child emits, one after the other in one
// goroutine; it may be nil. The child is killed at the end of the test.
func Start(t testing.TB, role string, config any, event func(json.RawMessage)) (*Process, error) {
	encoded, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(binary), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+role, configVariable+"="+string(encoded))
	p.cmd.Stderr = &p.stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.watch(stdout, event)
	t.Cleanup(p.Kill)
	return p, nil
}

// watch reads what the child emits until it is gone.
func (p *Process) watch(stdout io.Reader, event func(json.RawMessage)) {
	defer close(p.done)
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil { // a line cut by a kill is dropped
			break
		}
		if event != nil {
			event(line)
		}
	}
	p.err = p.cmd.Wait()
}

// Kill ends the child as kill -9 does, and returns when it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill() // fails only if it is gone already
	<-p.done
}

// Stop asks the child to end, and returns when it is gone.
func (p *Process) Stop(ctx context.Context) error {
	p.stdin.Close()
	return p.Wait(ctx)
}

// Signal sends a signal to the child.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Done is closed when the child is gone and all it emitted was delivered.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns when the child is gone. The error, if it did not exit with 0,
// is an [*exec.ExitError] with what the child wrote to standard error.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		return fmt.Errorf("%w: %s", p.err, bytes.TrimSpace(p.stderr.Bytes()))
	}
	return p.err
}
