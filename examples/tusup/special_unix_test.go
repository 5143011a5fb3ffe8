//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestSpecial_NamedPipeInDirectory(t *testing.T) {
	for policy, want := range map[string]outcome{
		"fail": {code: exitFailed, stderr: "tusup: dir/pipe: is a named pipe, not a regular file\n"},
		"skip": {code: exitOK, stderr: "tusup: skipped: 1 named pipe\n"},
	} {
		t.Run(policy, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			cmd := command(t, "--endpoint", srv.Endpoint(), "--progress", "none", "--special", policy, "dir")
			writeTree(t, cmd.Dir, "dir/a")
			if err := syscall.Mkfifo(filepath.Join(cmd.Dir, "dir", "pipe"), 0o600); err != nil {
				t.Skip(err)
			}
			if got := finish(t, cmd); got.code != want.code || !strings.HasPrefix(got.stderr, want.stderr) {
				t.Errorf("outcome is %+v", got)
			}
			wantContents(t, srv, "dir/a")
		})
	}
}
