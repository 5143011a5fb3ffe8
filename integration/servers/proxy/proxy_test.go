//go:build unix

package proxy_test

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/servers/proxy"
	"github.com/seed-175555ba/tus-go/tus"
)

func TestProxy_UploadIsStored(t *testing.T) {
	for _, p := range proxy.All() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			_, backend := startTusd(t)
			running := start(t, p, backend)
			if version, err := p.Version(); err != nil {
				t.Error(err)
			} else {
				t.Logf("version %s", version)
			}
			client := newClient(t, running, tus.Options{})
			var opts tus.UploadOptions
			if slices.Contains(running.Flags, "--min-chunk-size") {
				opts.MinChunkSize = 64 << 10
			}
			for _, size := range []int64{0, 1, 3*mib + 1} {
				f := newSource(t, size)
				result, err := client.UploadFile(testContext(t, stuck), f.path, &opts)
				if err != nil {
					t.Fatalf("%d bytes: %v", size, err)
				}
				wantStored(t, running, result.URL, f)
				if !strings.HasPrefix(result.URL, running.Endpoint) {
					t.Errorf("upload URL %s is not below %s", result.URL, running.Endpoint)
				}
			}
		})
	}
}

func TestProxy_CloseEndsAllProcesses(t *testing.T) {
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("NOTICE: no /proc to list processes")
	}
	for _, p := range proxy.All() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			_, backend := startTusd(t)
			running := start(t, p, backend)
			u, err := url.Parse(running.Endpoint)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir() // a sibling of the directory of the proxy
			pattern := filepath.Dir(dir)
			if len(processes(t, pattern)) == 0 {
				t.Fatal("no process of the proxy is found")
			}
			running.Close()
			waitUntil(t, "processes are left", func() bool { return len(processes(t, pattern)) == 0 })
			waitUntil(t, "something still listens", func() bool { // shortly after the process has ended
				conn, err := net.Dial("tcp", u.Host)
				if err == nil {
					conn.Close()
				}
				return err != nil
			})
		})
	}
}

// processes returns the command lines of other processes that contain text.
func processes(t *testing.T, text string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		line, err := os.ReadFile(file) // fails if the process has ended
		if err == nil && strings.Contains(string(line), text) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// waitUntil fails with a text unless a condition holds soon.
func waitUntil(t *testing.T, text string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(text)
		}
	}
}
