// Package child runs parts of a test in child processes, which can be killed at
// any moment. The children run the test binary itself, so nothing has to be built
// for them.
//
// A test package that uses it declares the roles of its children in TestMain:
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

// Role is a function that runs in a child process.
type Role struct {
	// Name identifies the role in [Start].
	Name string
	// Run is the role. ctx ends when the parent stops the child or dies. config is
	// the JSON encoding of Start's config. emit sends an event to the parent; it
	// is safe for concurrent use, and the event reaches the parent even if the
	// child is killed right after emit returned.
	Run func(ctx context.Context, config []byte, emit func(any)) error
}

// Main runs the role of this process and exits. In a process that was not started
// by [Start] it does nothing.
func Main(roles ...Role) {
	name := os.Getenv(roleVariable)
	if name == "" {
		return
	}
	for _, role := range roles {
		if role.Name == name {
			os.Exit(run(role))
		}
	}
	fmt.Fprintf(os.Stderr, "child: no role %q\n", name)
	os.Exit(2)
}

func run(role Role) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	go func() { // ends the child if its parent dies
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

// Start starts the running binary as a child in the named role. event, if non-nil,
// is called for each event of the child, in one goroutine. The child is killed at
// the end of the test.
func Start(t testing.TB, role string, config any, event func(json.RawMessage)) (*Process, error) {
	return StartWith(t, role, config, nil, event)
}

// StartWith is [Start] with attributes of the operating system, such as namespaces.
func StartWith(t testing.TB, role string, config any, attributes *syscall.SysProcAttr, event func(json.RawMessage)) (*Process, error) {
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
	p.cmd.Stderr, p.cmd.SysProcAttr = &p.stderr, attributes
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

// watch reads events until the child exits.
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

// Kill sends SIGKILL to the child and waits for its end.
func (p *Process) Kill() {
	p.cmd.Process.Kill() // fails only if the child has exited
	<-p.done
}

// Stop cancels the context of the child and waits for its end.
func (p *Process) Stop(ctx context.Context) error {
	p.stdin.Close()
	return p.Wait(ctx)
}

// Signal sends a signal to the child.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Done is closed when the child has exited and all its events were delivered.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits until the child has exited. If its exit code is not 0, the error wraps
// an [*exec.ExitError] and has the standard error of the child.
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
