package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// watching is a running watch.
type watching struct {
	*exec.Cmd
	t              *testing.T
	stdout, stderr syncBuffer
}

// syncBuffer is a buffer that a process writes while the test reads it. The buffer is not
// embedded: io.Copy would use its ReadFrom.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(data)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// startWatching runs watch in a directory of the test with the directory spool.
func startWatching(t *testing.T, prepare func(cmd *exec.Cmd), args ...string) *watching {
	t.Helper()
	w := &watching{t: t, Cmd: command(t, append([]string{"watch", "spool", "--settle", "50ms", "--scan", "200ms"}, args...)...)}
	if err := os.MkdirAll(w.path("spool"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.Stdout, w.Stderr = &w.stdout, &w.stderr
	if prepare != nil {
		prepare(w.Cmd)
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *watching) path(name string) string { return filepath.Join(w.Dir, filepath.FromSlash(name)) }

func (w *watching) write(name, content string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// stop sends a signal and returns the outcome.
func (w *watching) stop(signal os.Signal) outcome {
	w.t.Helper()
	if err := w.Process.Signal(signal); err != nil {
		w.t.Fatal(err)
	}
	_ = w.Wait()
	return outcome{w.ProcessState.ExitCode(), w.stdout.String(), w.stderr.String()}
}

// until waits until a condition holds.
func (w *watching) until(what string, holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("timeout: %s\n%s%s", what, &w.stdout, &w.stderr)
		}
	}
}

func (w *watching) untilPrinted(text string) {
	w.t.Helper()
	w.until(text, func() bool { return strings.Contains(w.stdout.String()+w.stderr.String(), text) })
}

func TestWatch_MovesFileAndEndsWithSignal(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no such signals on Windows")
	}
	for signal, code := range map[os.Signal]int{syscall.SIGTERM: exitOK, os.Interrupt: exitInterrupted} {
		srv := tustest.NewServer(t, nil)
		w := startWatching(t, nil, "--endpoint", srv.Endpoint(), "--move-to", "done", "--relative-names")
		w.write("spool/sub/a.txt", "content")
		w.untilPrinted("uploaded spool/sub/a.txt → " + srv.Endpoint())
		got := w.stop(signal)
		if got.code != code || !strings.Contains(got.stdout, ", 7 B in ") || !strings.Contains(got.stdout, ", moved to "+w.path("done/sub/a.txt")) {
			t.Errorf("%v: outcome is %+v", signal, got)
		}
		uploads := srv.Uploads()
		if len(uploads) != 1 || string(uploads[0].Data) != "content" || !strings.HasPrefix(uploads[0].Metadata, "filename c3ViL2EudHh0,") { // sub/a.txt
			t.Errorf("uploads are %+v", uploads)
		}
		if data, err := os.ReadFile(w.path("done/sub/a.txt")); string(data) != "content" || err != nil {
			t.Errorf("moved file has %q, %v", data, err)
		}
		if _, err := os.Stat(w.path("spool/sub/a.txt")); !os.IsNotExist(err) {
			t.Errorf("uploaded file: %v", err)
		}
	}
}

func TestWatch_RestartUploadsKeptFileOnce(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	state := filepath.Join(t.TempDir(), "uploads.db")
	first := startWatching(t, nil, "--endpoint", srv.Endpoint(), "--state", state)
	first.write("spool/a.txt", "content")
	first.write("spool/empty", "")
	first.untilPrinted("uploaded spool/a.txt")
	first.untilPrinted("uploaded spool/empty")
	kill(first.Cmd)

	second := startWatching(t, func(cmd *exec.Cmd) { cmd.Dir = first.Dir }, "--endpoint", srv.Endpoint(), "--state", state)
	second.write("spool/b.txt", "content")
	second.untilPrinted("uploaded spool/b.txt")
	second.write("spool/a.txt", "other content")
	second.untilPrinted("uploaded spool/a.txt")
	kill(second.Cmd)
	if n := len(srv.Uploads()); n != 4 {
		t.Errorf("%d uploads, want 4", n)
	}
}

func TestWatch_JSONMatchesSchema(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no such signals on Windows")
	}
	srv := tustest.NewServer(t, &tustest.Options{MaxSize: 100})
	w := startWatching(t, nil, "--endpoint", srv.Endpoint(), "--delete", "--json")
	w.write("spool/small", "content")
	w.write("spool/large", strings.Repeat("x", 1000))
	w.untilPrinted(`"file":"spool/small"`)
	w.untilPrinted(`"kind":"too_large"`)
	got := w.stop(syscall.SIGTERM)
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	for _, line := range lines {
		wantSchema(t, line)
	}
	if last := lines[len(lines)-1]; len(lines) != 3 || !strings.Contains(last, `"summary":{"files":2,"uploaded":1,"already_uploaded":0,"unfinished":0,"failed":1,`) {
		t.Errorf("lines are %q", lines)
	}
	reason, err := os.ReadFile(w.path("spool/.failed/large.reason.txt"))
	if err != nil || !strings.Contains(string(reason), "too large for the server") {
		t.Errorf("reason is %q, %v", reason, err)
	}
	if _, err := os.Stat(w.path("spool/.failed/large")); err != nil {
		t.Error(err)
	}
}

func TestWatch_SaysOutageOnce(t *testing.T) {
	addr := freeAddress(t)
	w := startWatching(t, nil, "--endpoint", "http://"+addr+"/files/")
	for _, name := range []string{"a", "b", "c"} {
		w.write("spool/"+name, name)
	}
	w.untilPrinted("server unreachable: connection refused; ")
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	handler := tustest.NewHandler(nil)
	server := &http.Server{Handler: handler}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	w.untilPrinted("server reachable again")
	for _, name := range []string{"a", "b", "c"} {
		w.untilPrinted("uploaded spool/" + name)
	}
	kill(w.Cmd)
	if text := w.stderr.String(); strings.Count(text, "unreachable") != 1 {
		t.Errorf("standard error is %q", text)
	}
}

func TestWatch_ResumedOffsetIsNoSignOfLife(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", From: 1, Times: 8, Action: tustest.Respond(http.StatusBadGateway, "")})
	w := startWatching(t, nil, "--endpoint", srv.Endpoint(), "--chunk-size", "100000", "--retries", "2")
	w.write("spool/a", strings.Repeat("x", 200_000))
	w.untilPrinted("uploaded spool/a")
	kill(w.Cmd)
	if text := w.stderr.String(); strings.Count(text, "reachable again") != 1 || strings.Count(text, "refuses uploads: 502") != 1 {
		t.Errorf("standard error is %q", text)
	}
}

func TestWatch_RefusesToStart(t *testing.T) {
	t.Parallel()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	const endpoint = "http://127.0.0.1:9/files/"
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no endpoint":       {[]string{dir}, exitUsage, "no endpoint"},
		"missing directory": {[]string{filepath.Join(dir, "missing"), "--endpoint", endpoint}, exitFailed, "no such file"},
		"file":              {[]string{file, "--endpoint", endpoint, "--no-state"}, exitFailed, "is not a directory"},
		"two disposals":     {[]string{dir, "--endpoint", endpoint, "--delete", "--move-to", dir}, exitUsage, "--delete cannot be used with --move-to"},
		"target":            {[]string{dir, "--endpoint", endpoint, "--move-to", dir}, exitUsage, "must not be the directory that is watched"},
		"failed target":     {[]string{dir, "--endpoint", endpoint, "--failed-to", dir + "/."}, exitUsage, "must not be the directory that is watched"},
		"scan":              {[]string{dir, "--endpoint", endpoint, "--scan", "0s"}, exitUsage, "--scan 0s: must be above 0"},
		"settle":            {[]string{dir, "--endpoint", endpoint, "--settle=-1s"}, exitUsage, "--settle -1s: must not be negative"},
		"give up":           {[]string{dir, "--endpoint", endpoint, "--give-up=-1"}, exitUsage, "--give-up -1: must not be negative"},
		"concurrency":       {[]string{dir, "--endpoint", endpoint, "--concurrency", "0"}, exitUsage, "--concurrency 0: must be at least 1"},
		"state":             {[]string{dir, "--endpoint", endpoint, "--state", filepath.Join(file, "x")}, exitFailed, "without a resume database (--no-state), a crash may upload files twice"},
		"watched state":     {[]string{dir, "--endpoint", endpoint, "--state", dir + "/uploads.db"}, exitUsage, "must not be in the directory that is watched"},
		"corrupt state":     {[]string{dir, "--endpoint", endpoint, "--state", file}, exitFailed, "without a resume database (--no-state)"},
		"metrics":           {[]string{dir, "--endpoint", endpoint, "--metrics", "127.0.0.1:99999"}, exitFailed, "--metrics 127.0.0.1:99999: "},
	} {
		t.Run(name, func(t *testing.T) {
			got := tusup(t, append([]string{"watch"}, test.args...)...)
			if got.code != test.code || !strings.Contains(got.stderr, test.want) {
				t.Errorf("outcome is %+v, want %d, %q", got, test.code, test.want)
			}
		})
	}
}

func TestWatch_DefaultStateIsRequired(t *testing.T) {
	t.Parallel()
	cmd := command(t, "watch", ".", "--endpoint", "http://127.0.0.1:9/files/")
	state := filepath.Join(cmd.Dir, "file")
	if err := os.WriteFile(state, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state, "HOME="+state, "LocalAppData="+state)
	if got := finish(t, cmd); got.code != exitFailed || !strings.Contains(got.stderr, "--no-state") {
		t.Errorf("outcome is %+v", got)
	}
}

func TestWatch_ServesMetrics(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, &tustest.Options{MaxSize: 100})
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Respond(http.StatusBadGateway, "")})
	w := startWatching(t, nil, "--endpoint", srv.Endpoint(), "--no-state", "--metrics", "127.0.0.1:0")
	w.write("spool/a", "content")
	w.untilPrinted("uploaded spool/a")
	w.write("spool/large", strings.Repeat("x", 1000))
	w.untilPrinted("set aside")
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+/metrics`).FindString(w.stderr.String())
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`tusup_files_total{result="uploaded"} 1`, `tusup_files_total{result="set_aside"} 1`, `tusup_files_total{result="retried"} 0`, "tusup_acknowledged_bytes_total 7",
		`tusup_queue_files{state="waiting"} 0`, "tusup_retries_total 1", "tusup_store_errors_total 0", "tusup_server_up 1", "tusup_last_success_timestamp_seconds 1",
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("metrics have no %s:\n%s", want, body)
		}
	}
	kill(w.Cmd)
}
