//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Root can read every file: as root, the test runs the command as another user.
func TestUpload_UnreadableFileSendsNothing(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--no-state", "unreadable.bin")
	if err := os.WriteFile(filepath.Join(cmd.Dir, "unreadable.bin"), []byte("x"), 0o000); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		const unprivileged = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged}}
		for _, dir := range []string{filepath.Dir(binary), filepath.Dir(cmd.Dir), cmd.Dir} {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := finish(t, cmd)
	if got.code != exitFailed || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "permission denied") {
		t.Errorf("outcome is %+v", got)
	}
	if n := len(srv.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
