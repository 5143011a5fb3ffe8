//go:build unix

package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestWatch_NotifiesSystemd(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	dir, err := os.MkdirTemp("", "notify") // a short path, for the address of a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "socket"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	received := &syncBuffer{}
	go func() {
		message := make([]byte, 1000)
		for {
			n, err := socket.Read(message)
			if err != nil {
				return
			}
			received.Write(append(message[:n], '\n'))
		}
	}()
	defer socket.Close()
	w := startWatching(t, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+socket.LocalAddr().String(), "WATCHDOG_USEC=200000")
	}, "--endpoint", srv.Endpoint())
	for _, want := range []string{"READY=1\n", "WATCHDOG=1\n", "STATUS=0 waiting, 0 in flight\n"} {
		w.until(want, func() bool { return strings.Contains(received.String(), want) })
	}
	srv.Close()
	w.write("spool/a", "content")
	want := "STATUS=1 waiting, 0 in flight; server unreachable: connection refused\n"
	w.until(want, func() bool {
		return strings.Contains(strings.ReplaceAll(received.String(), "0 waiting, 1 in flight", "1 waiting, 0 in flight"), want)
	})
	beats := strings.Count(received.String(), "WATCHDOG=1")
	w.until("the watchdog is served during an outage", func() bool { return strings.Count(received.String(), "WATCHDOG=1") > beats+3 })
	if got := w.stop(syscall.SIGTERM); got.code != exitOK {
		t.Errorf("outcome is %+v", got)
	}
	w.until("STOPPING=1", func() bool { return strings.Contains(received.String(), "STOPPING=1\n") })
}

// TestWatch_UnitIsValid checks the unit of the documentation with the flags of this binary.
func TestWatch_UnitIsValid(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	unit, err := os.ReadFile(filepath.FromSlash("../../docs/tusup-watch.service"))
	if err != nil {
		t.Fatal(err)
	}
	const installed = "/usr/local/bin/tusup"
	if !bytes.Contains(unit, []byte("ExecStart="+installed+" watch ")) {
		t.Fatalf("the unit does not run %s watch", installed)
	}
	path := filepath.Join(t.TempDir(), "tusup-watch.service")
	unit = bytes.ReplaceAll(unit, []byte(installed), []byte(binary))
	if err := os.WriteFile(path, unit, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("tusup")) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	var start string
	for line := range strings.Lines(string(unit)) {
		if after, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart="); ok {
			start = after
		}
	}
	got := tusup(t, append(strings.Fields(start)[1:], "--settle=-1s", "--endpoint", "http://127.0.0.1:9/")...)
	if got.code != exitUsage || !strings.Contains(got.stderr, "--settle -1s") {
		t.Errorf("the flags of the unit: %+v", got)
	}
}
