//go:build unix

package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// fleetTest is a directory that the workers of a test share, with a server.
type fleetTest struct {
	t        *testing.T
	dir      string // has media
	server   *tustest.Server
	endpoint string
	state    string // --state; "" is the embedded NATS in dir
	content  map[string][]byte
}

// newFleetTest returns a fleet with files to upload.
func newFleetTest(t *testing.T, sizes ...int) *fleetTest {
	f := &fleetTest{t: t, dir: t.TempDir(), server: tustest.NewServer(t, nil), content: map[string][]byte{}}
	f.endpoint = f.server.Endpoint()
	if err := os.Mkdir(filepath.Join(f.dir, "media"), 0o755); err != nil {
		t.Fatal(err)
	}
	noise := rand.NewChaCha8([32]byte{11})
	for i, size := range sizes {
		data := make([]byte, size)
		noise.Read(data)
		name := fmt.Sprintf("file-%02d.bin", i)
		f.content[name] = data
		if err := os.WriteFile(filepath.Join(f.dir, "media", name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// startNATS starts a NATS server, and returns its URL for --state.
func startNATS(t *testing.T) string {
	t.Helper()
	nats, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, Username: "worker", Password: "s3cret", NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	nats.Start()
	t.Cleanup(func() {
		nats.Shutdown()
		nats.WaitForShutdown()
	})
	if !nats.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS is not ready")
	}
	return "nats://worker:s3cret@" + nats.Addr().String()
}

// command returns a command of tusup in the directory of the fleet.
func (f *fleetTest) command(args ...string) *exec.Cmd {
	cmd := commandWithin(f.t, 2*time.Minute, args...)
	cmd.Dir = f.dir
	cmd.Env = append(cmd.Env, "TUS_STATE="+f.state)
	return cmd
}

// enqueue puts the files into the queue.
func (f *fleetTest) enqueue() {
	f.t.Helper()
	if got := finish(f.t, f.command("enqueue", "--endpoint", f.endpoint, "media")); got.code != exitOK {
		f.t.Fatalf("enqueue: %+v", got)
	}
}

// fleetWorker is a worker of a test.
type fleetWorker struct {
	*exec.Cmd
	output *syncBuffer
}

// start starts a worker.
func (f *fleetTest) start(name string, args ...string) *fleetWorker {
	f.t.Helper()
	w := &fleetWorker{f.command(append([]string{"worker", "--name", name}, args...)...), &syncBuffer{}}
	w.Stdout, w.Stderr = w.output, w.output
	if err := w.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		kill(w.Cmd)
		if f.t.Failed() {
			f.t.Logf("worker %s:\n%s", name, w.output)
		}
	})
	f.eventually(10*time.Second, name+" takes jobs", func() bool { return w.printed("uploads the jobs in") })
	return w
}

func (w *fleetWorker) printed(text string) bool { return strings.Contains(w.output.String(), text) }

// wantMetrics fails unless the metrics of the worker have the lines.
func (w *fleetWorker) wantMetrics(t *testing.T, lines ...string) {
	t.Helper()
	address := regexp.MustCompile(`http://\S+/metrics`).FindString(w.output.String())
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	for _, line := range lines {
		if err != nil || !strings.Contains(string(page), "\n"+line) {
			t.Errorf("the metrics have no %s: %v\n%s", line, err, page)
		}
	}
}

// wait returns the exit code of the worker.
func (w *fleetWorker) wait() int {
	_ = w.Wait()
	return w.ProcessState.ExitCode()
}

func (f *fleetTest) eventually(limit time.Duration, what string, holds func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("timeout after %v: %s", limit, what)
		}
	}
}

// stored returns the number of bytes that the server has.
func (f *fleetTest) stored() (n int) {
	for _, upload := range f.server.Uploads() {
		n += len(upload.Data)
	}
	return n
}

// complete reports whether the queue is empty.
func (f *fleetTest) complete() bool {
	got := finish(f.t, f.command("queue"))
	return got.code == exitOK && got.stdout == "" && strings.Contains(got.stderr, "0 waiting, 0 in flight, 0 failed")
}

// check fails unless the server has exactly the files, each once.
func (f *fleetTest) check() {
	f.t.Helper()
	times := map[[32]byte]int{}
	for _, upload := range f.server.Uploads() {
		if !upload.Complete() {
			f.t.Errorf("the server has an upload with %d of %d bytes", len(upload.Data), upload.Length)
		}
		times[sha256.Sum256(upload.Data)]++
	}
	for name, data := range f.content {
		if n := times[sha256.Sum256(data)]; n != 1 {
			f.t.Errorf("%s of %d bytes is stored %d times", name, len(data), n)
		}
	}
	if len(times) != len(f.content) {
		f.t.Errorf("the server has %d files, want %d", len(times), len(f.content))
	}
}
