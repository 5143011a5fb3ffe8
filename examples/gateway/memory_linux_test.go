package main

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A gateway process uses less than 64 MiB for a form of 1 GiB, and ended uploads use no
// memory.
func TestMemory_IsBounded(t *testing.T) {
	const size, most = 1 << 30, 64 << 20
	sink := newSink()
	server := httptest.NewServer(sink)
	t.Cleanup(server.Close)
	gateway := startProcess(t, "TUS_ENDPOINT="+server.URL+"/files/")

	want := gateway.send(t, size)
	if got := sink.take(t); got.size != size || got.sum != want {
		t.Errorf("the tus server got %d bytes with checksum %08x, want %d with %08x", got.size, got.sum, size, want)
	}
	for range 30 { // their buffers would take 240 MiB
		gateway.send(t, 8<<20)
		sink.take(t)
	}
	peak := gateway.peak(t)
	t.Logf("peak RSS %.1f MiB", float64(peak)/(1<<20))
	if peak > most {
		t.Errorf("peak RSS is %d bytes, want at most %d", peak, most)
	}
}

// process is a gateway in a separate process.
type process struct {
	cmd *exec.Cmd
	url string
}

func startProcess(t *testing.T, environment ...string) *process {
	t.Helper()
	// The test binary may have the race detector, which uses much more memory.
	binary := filepath.Join(t.TempDir(), "gateway")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := &process{cmd: exec.Command(binary, "-addr", "127.0.0.1:0")}
	p.cmd.Env = append(os.Environ(), environment...)
	p.cmd.Stderr = os.Stderr
	stdout, err := p.cmd.StdoutPipe()
	check(t, err)
	check(t, p.cmd.Start())
	t.Cleanup(func() {
		check(t, p.cmd.Process.Signal(syscall.SIGTERM))
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	check(t, err)
	if _, err := fmt.Sscanf(line, "gateway at %s ", &p.url); err != nil {
		t.Fatalf("the gateway printed %q", line)
	}
	return p
}

// send posts a form with a file of size bytes, and returns its checksum.
func (p *process) send(t *testing.T, size int64) uint32 {
	t.Helper()
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	sum := crc32.NewIEEE()
	go func() {
		w.CloseWithError(func() error {
			part, err := form.CreateFormFile("file", "big.bin")
			if err != nil {
				return err
			}
			block := noise(1 << 20)
			for at := int64(0); at < size; at += int64(len(block)) {
				copy(block, strconv.FormatInt(at, 10)) // so that all blocks differ
				if _, err := io.MultiWriter(part, sum).Write(block); err != nil {
					return err
				}
			}
			return form.Close()
		}())
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	resp, err := client.Post(p.url+"uploads", form.FormDataContentType(), r)
	check(t, err)
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	check(t, resp.Body.Close())
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	resp, err = client.Get(p.url + strings.TrimPrefix(resp.Header.Get("Location"), "/") + "?wait=true")
	check(t, err)
	body, err = io.ReadAll(resp.Body)
	check(t, err)
	check(t, resp.Body.Close())
	if !bytes.Contains(body, []byte(`"state":"complete"`)) {
		t.Fatalf("status is %s", body)
	}
	return sum.Sum32()
}

// peak returns the peak memory of the process in bytes (VmHWM).
func (p *process) peak(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	check(t, err)
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatal("no VmHWM in the status of the process")
	return 0
}

// sink is a tus server for one upload at a time, which keeps only size and checksum.
type sink struct {
	mu     sync.Mutex
	offset int64
	length int64 // -1 if unknown
	sum    uint32
}

// received is an upload of a sink.
type received struct {
	size int64
	sum  uint32
}

func newSink() *sink { return &sink{length: -1} }

// take returns the complete upload and resets the sink for the next one.
func (s *sink) take(t *testing.T) received {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.length != s.offset {
		t.Fatalf("the upload has %d bytes, its length is %d", s.offset, s.length)
	}
	got := received{s.offset, s.sum}
	s.offset, s.length, s.sum = 0, -1, 0
	return got
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	header := w.Header()
	header.Set("Tus-Resumable", "1.0.0")
	switch {
	case r.Method == http.MethodOptions:
		header.Set("Tus-Version", "1.0.0")
		header.Set("Tus-Extension", "creation,creation-defer-length,termination")
	case r.Method == http.MethodPost && s.offset == 0:
		header.Set("Location", "/files/1")
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodPatch && r.Header.Get("Upload-Offset") == strconv.FormatInt(s.offset, 10):
		if length := r.Header.Get("Upload-Length"); length != "" {
			s.length, _ = strconv.ParseInt(length, 10, 64)
		}
		if _, err := io.Copy(s, r.Body); err != nil {
			return
		}
		header.Set("Upload-Offset", strconv.FormatInt(s.offset, 10))
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusConflict)
	}
}

// Write adds bytes of a PATCH. The caller holds s.mu.
func (s *sink) Write(p []byte) (int, error) {
	s.sum = crc32.Update(s.sum, crc32.IEEETable, p)
	s.offset += int64(len(p))
	return len(p), nil
}
