//go:build unix

package servers_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/integration/servers"
)

func TestProcess_KillEndsChildren(t *testing.T) {
	t.Parallel()
	p, err := servers.StartProcess(exec.Command("sh", "-c", "sleep 100 & echo $!; wait"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	waitUntil(t, func() bool {
		pid, err = strconv.Atoi(strings.TrimSpace(p.Log()))
		return err == nil
	})
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return gone(pid) })
}

func TestProcess_EndsWithParent(t *testing.T) {
	t.Parallel()
	pids := make(chan int, 1)
	parent, err := child.Start(t, holderRole, nil, func(line json.RawMessage) {
		pid, _ := strconv.Atoi(strings.TrimSpace(string(line)))
		pids <- pid
	})
	if err != nil {
		t.Fatal(err)
	}
	pid := <-pids
	parent.Kill()
	waitUntil(t, func() bool { return gone(pid) })
}

const holderRole = "holder"

// hold starts a process and emits its id.
func hold(ctx context.Context, _ []byte, emit func(any)) error {
	p, err := servers.StartProcess(exec.Command("sh", "-c", "echo $$; sleep 100"))
	if err != nil {
		return err
	}
	for p.Log() == "" {
		time.Sleep(time.Millisecond)
	}
	emit(json.RawMessage(p.Log()))
	<-ctx.Done()
	return nil
}

func TestProcess_ReadsInputAndReturnsCode(t *testing.T) {
	input, err := os.Open("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	cmd := exec.Command("sh", "-c", "head -c 10; exit 3")
	cmd.Stdin = input
	p, err := servers.StartProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if code, err := p.Wait(t.Context()); code != 3 || err != nil || p.Log() != "// Package" {
		t.Errorf("code %d, error %v, output %q", code, err, p.Log())
	}
}

func TestProcess_MissingProgramIsNotInstalled(t *testing.T) {
	if _, err := servers.StartProcess(exec.Command("no-such-server")); !errors.Is(err, servers.ErrNotInstalled) {
		t.Errorf("error is %v", err)
	}
}

func gone(pid int) bool { return syscall.Kill(pid, 0) != nil }

func waitUntil(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("timeout")
		}
	}
}
