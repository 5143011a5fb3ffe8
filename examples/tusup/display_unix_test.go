//go:build unix

package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// slowServer returns a server whose PATCH requests wait for release.
func slowServer(t *testing.T) (srv *tustest.Server, release func()) {
	srv = tustest.NewServer(t, nil)
	released := make(chan struct{})
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		select {
		case <-released:
		case <-r.Context().Done():
		}
		h.Serve(w, r)
	}})
	release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	return srv, release
}

// threeFiles writes three files.
func threeFiles(t *testing.T) []string {
	var paths []string
	dir := t.TempDir()
	for _, name := range []string{"1.bin", "日本語の長い名前の動画です.mp4", "3.bin"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, 300_000), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestProgress_TerminalShowsRetries(t *testing.T) {
	for _, width := range []int{40, 80} {
		path, _ := randomFile(t, 1000)
		start := time.Now()
		cmd := command(t, "--endpoint", "http://"+freeAddress(t)+"/files/", "--no-state", path)
		term := startInTerminal(t, cmd, width, 10)
		term.await(t, `^file\.bin +0 % .*connection refused`)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("the reason is shown after %v", took)
		}
		term.await(t, `connection refused, (retry [45] in )?[1-9] s(, 0 of 1000 B)?$`)
		kill(cmd)
	}
}

func TestProgress_TerminalShowsRateAndTimeLeft(t *testing.T) {
	for _, width := range []int{40, 80, 200} {
		srv := tustest.NewServer(t, nil)
		cmd := command(t, append([]string{"--endpoint", srv.Endpoint(), "--no-state", "--bwlimit", "150K", "--concurrency", "1"}, threeFiles(t)...)...)
		term := startInTerminal(t, cmd, width, 20)
		term.await(t, ` +[0-9]+ % .+ of 293\.0 KiB.*\n[0-2]/3 files +[0-9]+ % [0-9.]+ KiB/s, [0-9]+ s left`)
		kill(cmd)
	}
}

func TestProgress_TerminalHasRowsOnlyDuringUpload(t *testing.T) {
	srv, release := slowServer(t)
	paths := threeFiles(t)
	cmd := command(t, append([]string{"--endpoint", srv.Endpoint(), "--no-state", "--checksum", "off", "--chunk-size", "200KB"}, paths...)...)
	term := startInTerminal(t, cmd, 80, 20)
	term.await(t, `^0/3 files +[0-9]+ %`)
	if rows := term.rows(); len(rows) != 4 {
		t.Errorf("screen is\n%s", strings.Join(rows, "\n"))
	}
	for _, width := range []int{40, 120, 60} {
		if err := term.resize(width, 20); err != nil {
			t.Fatal(err)
		}
		time.Sleep(600 * time.Millisecond) // three frames
		if rows := term.rows(); len(rows) != 4 || !strings.HasPrefix(rows[3], "0") {
			t.Errorf("with %d columns the screen is\n%s", width, strings.Join(rows, "\n"))
		}
	}
	release()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	<-term.closed
	text := strings.Join(term.rows(), "")
	if strings.Contains(text, "%") || strings.Count(text, " → ") != 3 {
		t.Errorf("at the end the screen is\n%s", strings.Join(term.rows(), "\n"))
	}
}

// Results go directly to standard output if it is no terminal.
func TestProgress_TerminalHasNoRedirectedResults(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	var stdout bytes.Buffer
	cmd := command(t, append([]string{"--endpoint", srv.Endpoint(), "--no-state"}, threeFiles(t)...)...)
	cmd.Stdout = &stdout
	term := startInTerminal(t, cmd, 80, 20)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	<-term.closed
	if rows := term.rows(); len(rows) != 1 || !strings.HasPrefix(rows[0], "tusup: 3 files: 3 uploaded;") || strings.Count(stdout.String(), " → ") != 3 || strings.Contains(stdout.String(), "\x1b") {
		t.Errorf("the screen is\n%s\nstandard output is %q", strings.Join(rows, "\n"), stdout.String())
	}
}

func TestProgress_DumbTerminalGetsLines(t *testing.T) {
	srv, release := slowServer(t)
	path, _ := randomFile(t, 1_000_000)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--no-state", "--checksum", "off", "--chunk-size", "500KB", path)
	cmd.Env = append(cmd.Env, "TERM=dumb")
	term := startInTerminal(t, cmd, 80, 20)
	term.await(t, `^file\.bin [0-9]+ % .+ of 976\.6 KiB`)
	release()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	<-term.closed
	if raw := term.raw.String(); strings.Contains(raw, "\x1b") {
		t.Errorf("output is %q", raw)
	}
}
