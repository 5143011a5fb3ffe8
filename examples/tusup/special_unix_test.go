//go:build unix

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

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

// A pipe, such as <(pass show token), can be read once.
func TestCredentials_FilesMayBePipes(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		cookie, _ := r.Cookie("session")
		if token := r.Header.Get("Authorization"); token != "Bearer piped" || cookie == nil || cookie.Value != "piped" {
			t.Errorf("request has %q and cookie %v", token, cookie)
		}
		h.Serve(w, r)
	}})
	path, data := randomFile(t, 100)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--json", "--verbose", "--token-file", "/dev/fd/3", "--cookie-file", "/dev/fd/4", path)
	for _, text := range []string{"piped\n", "127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tpiped\n"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		w.Close()
		defer r.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, r)
	}
	got := finish(t, cmd)
	if got.code != exitOK {
		t.Fatalf("outcome is %+v", got)
	}
	wantStored(t, srv, decode(t, got.stdout).URL, data)
}

// Control-D ends the input of a terminal once; a second read would wait for more.
func TestFiletype_TerminalIsEndedOnce(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	terminal, tty, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	defer terminal.Close()
	defer tty.Close()
	cmd := command(t, "--endpoint", srv.Endpoint(), "--progress", "none", "-")
	cmd.Stdin = tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := terminal.WriteString("typed\n\x04"); err != nil {
		t.Fatal(err)
	}
	wantExit(t, cmd, 10*time.Second, exitOK)
	wantContents(t, srv, "typed\n")
}
