package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// binary is the path of tusup, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tusup")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "tusup")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s", err, out)
		return 1
	}
	return m.Run()
}

// outcome is the result of a run of tusup.
type outcome struct {
	code           int
	stdout, stderr string
}

// command returns a command that runs tusup in a directory of the test.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return commandWithin(t, time.Minute, args...)
}

// commandWithin is command with a limit to the time of the process.
func commandWithin(t *testing.T, limit time.Duration, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TUS_ENDPOINT=", "TUS_TOKEN=", "TUS_HEADERS=", "XDG_STATE_HOME="+cmd.Dir, "XDG_CONFIG_HOME="+cmd.Dir, "HOME="+cmd.Dir)
	return cmd
}

// finish runs cmd until it exits.
func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func tusup(t *testing.T, args ...string) outcome {
	t.Helper()
	return finish(t, command(t, args...))
}

// mustUpload runs tusup --json for one file and returns its result.
func mustUpload(t *testing.T, args ...string) report.File {
	t.Helper()
	got := tusup(t, append([]string{"--json", "--progress", "none"}, args...)...)
	if got.code != exitOK {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	return decode(t, got.stdout)
}

// decode decodes standard output, which must be the JSON of one file and a summary.
func decode(t *testing.T, stdout string) report.File {
	t.Helper()
	files, _ := decodeAll(t, stdout)
	if len(files) != 1 {
		t.Fatalf("standard output is not the JSON of one file:\n%s", stdout)
	}
	return files[0]
}

// decodeAll decodes standard output, which must be the JSON of files and a summary.
func decodeAll(t *testing.T, stdout string) (files []report.File, totals report.Totals) {
	t.Helper()
	texts := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	strictly := func(text string, v any) {
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(v); err != nil || d.More() {
			t.Fatalf("%s: %v", text, err)
		}
		wantSchema(t, text)
	}
	for _, text := range texts[:len(texts)-1] {
		var file report.File
		strictly(text, &file)
		files = append(files, file)
	}
	var summary report.Summary
	strictly(texts[len(texts)-1], &summary)
	return files, summary.Summary
}

// randomFile writes a file of reproducible noise.
func randomFile(t *testing.T, size int) (path string, data []byte) {
	t.Helper()
	data = make([]byte, size)
	rand.NewChaCha8([32]byte{7}).Read(data)
	path = filepath.Join(t.TempDir(), "file.bin")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, data
}

// wantStored fails unless the test server has exactly data, as a complete upload.
func wantStored(t *testing.T, srv *tustest.Server, url string, data []byte) {
	t.Helper()
	up, ok := srv.Upload(url)
	if !ok || !up.Complete() || sha256.Sum256(up.Data) != sha256.Sum256(data) {
		t.Fatalf("server has %d bytes, want %d; complete %v; or the bytes differ", len(up.Data), len(data), ok && up.Complete())
	}
}

// serve starts tusup serve and returns its endpoint and directory.
func serve(t *testing.T) (endpoint, dir string) {
	t.Helper()
	text, dir := serveLine(t)
	fields := strings.Fields(text) // tusd at ENDPOINT stores in DIR
	return fields[2], filepath.Join(dir, "store")
}

// serveLine starts tusup serve, which stores below a directory, and returns the line that it
// prints when it accepts connections.
func serveLine(t *testing.T, args ...string) (line, dir string) {
	t.Helper()
	cmd := command(t, append([]string{"serve", "--addr", "127.0.0.1:0", "--dir", "store"}, args...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	line, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line, cmd.Dir
}

// freeAddress returns an address on which no server listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// kill kills a process that may have ended.
func kill(cmd *exec.Cmd) {
	if cmd.Process != nil && cmd.ProcessState == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// wantOnDisk fails unless tusd stored exactly data.
func wantOnDisk(t *testing.T, dir, url string, data []byte) {
	t.Helper()
	stored, err := os.ReadFile(filepath.Join(dir, lastSegment(url)))
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(stored) != sha256.Sum256(data) {
		t.Fatalf("tusd has %d bytes that differ from the %d of the source", len(stored), len(data))
	}
}
