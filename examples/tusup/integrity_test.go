package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func hexOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func TestDigest_FileIsInOutputAndMetadata(t *testing.T) {
	for name, args := range map[string][]string{
		"one request": nil, "chunks": {"--chunk-size", "100KB"}, "parallel": {"--parallel", "2"}, "deferred length": {"--deferred-length"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			path, data := randomFile(t, 12_000_000)
			l := mustUpload(t, append(args, "--endpoint", srv.Endpoint(), "--digest", "sha256", path)...)
			wantStored(t, srv, l.URL, data)
			up, _ := srv.Upload(l.URL)
			if l.Digest != "sha256:"+hexOf(data) || metadataOf(t, up)["sha256"] != hexOf(data) || metadataOf(t, up)["filename"] != "file.bin" {
				t.Errorf("digest %s, metadata %q", l.Digest, metadataOf(t, up))
			}
		})
	}
}

func TestDigest_TextResultHasIt(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 1000)
	got := tusup(t, "--endpoint", srv.Endpoint(), "--digest", "sha256", path)
	if got.code != exitOK || !strings.HasSuffix(got.stdout, ", sha256 "+hexOf(data)+"\n") {
		t.Errorf("outcome is %+v", got)
	}
}

func TestDigest_ResumedFileHasDigestOfAllBytes(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 1_000_000)
	args := []string{"--endpoint", srv.Endpoint(), "--state", filepath.Join(t.TempDir(), "state"), "--json", "--chunk-size", "100KB", "--digest", "sha256", path}
	first := decode(t, interrupted(t, srv, command(t, args...)).stdout)
	second := mustUpload(t, args...)
	if second.URL != first.URL || second.ResumedFrom == 0 || first.Digest != "" || second.Digest != "sha256:"+hexOf(data) {
		t.Errorf("first result %+v, second %+v", first, second)
	}
}

func TestDigest_StandardInput(t *testing.T) {
	for _, size := range []int{0, 1000, 20_000_000} {
		srv := tustest.NewServer(t, nil)
		_, data := randomFile(t, size)
		cmd := command(t, "--endpoint", srv.Endpoint(), "--json", "--digest", "sha256", "-")
		cmd.Stdin = bytes.NewReader(data)
		l := decode(t, finish(t, cmd).stdout)
		wantStored(t, srv, l.URL, data)
		if l.Digest != "sha256:"+hexOf(data) {
			t.Errorf("%d bytes: digest %s", size, l.Digest)
		}
	}
}

// The bytes that the server has are read from standard input and not sent.
func TestDigest_ResumedStandardInputHasDigestOfAllBytes(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 1_000_000)
	first := decode(t, interrupted(t, srv, command(t, "--endpoint", srv.Endpoint(), "--no-state", "--json", "--chunk-size", "100KB", path)).stdout)
	cmd := command(t, "--upload-url", first.URL, "--json", "--digest", "sha256", "-")
	cmd.Stdin = bytes.NewReader(data)
	got := finish(t, cmd)
	if got.code != exitOK {
		t.Fatalf("outcome is %+v", got)
	}
	l := decode(t, got.stdout)
	wantStored(t, srv, first.URL, data)
	if l.ResumedFrom != 200_000 || l.Digest != "sha256:"+hexOf(data) {
		t.Errorf("result is %+v", l)
	}
}

func TestDigest_ChangedFileFails(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"written":    func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("x"), 1_000_000), 0o600) },
		"appended":   func(path string) error { return os.Truncate(path, 1_000_001) },
		"attributes": func(path string) error { return os.Chmod(path, 0o640) },
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			path, _ := randomFile(t, 1_000_000)
			sums := filepath.Join(t.TempDir(), "SHA256SUMS")
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				time.Sleep(20 * time.Millisecond) // the resolution of the change time
				if err := change(path); err != nil {
					t.Error(err)
				}
				h.Serve(w, r)
			}})
			got := tusup(t, "--endpoint", srv.Endpoint(), "--json", "--chunk-size", "400KB", "--manifest", sums, path)
			l := decode(t, got.stdout)
			if got.code != exitFailed || l.Error == nil || l.Error.Kind != "source_changed" || l.Digest != "" {
				t.Errorf("outcome is %+v", got)
			}
			if data, err := os.ReadFile(sums); err != nil || len(data) != 0 {
				t.Errorf("manifest is %q, %v", data, err)
			}
		})
	}
}

func TestDigest_LongReadIsSaidAndInterrupted(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--no-state", "--digest", "sha256", "sparse")
	writeTree(t, cmd.Dir, "sparse")
	if err := os.Truncate(filepath.Join(cmd.Dir, "sparse"), 1<<40); err != nil {
		t.Skip(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const want = "tusup: sparse: computing the sha256 digest of 1.0 TiB before the upload\n"
	for lines := bufio.NewReader(stderr); ; { // progress is printed as well
		text, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if text == want {
			break
		}
	}
	cmd.Process.Signal(os.Interrupt)
	wantExit(t, cmd, 5*time.Second, exitInterrupted)
	if n := len(srv.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestManifest_HasCompleteUploadsInOrder(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--json", "--manifest", "SHA256SUMS", "dir", "missing", "b", "-")
	writeTree(t, cmd.Dir, "dir/a", "dir/new\nline", "dir/back\\slash", "b")
	cmd.Stdin = strings.NewReader("stream")
	if got := finish(t, cmd); got.code != exitFailed || len(srv.Uploads()) != 5 {
		t.Fatalf("outcome is %+v", got)
	}
	data, err := os.ReadFile(filepath.Join(cmd.Dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		hexOf([]byte("dir/a")) + "  dir/a",
		`\` + hexOf([]byte(`dir/back\slash`)) + `  dir/back\\slash`,
		`\` + hexOf([]byte("dir/new\nline")) + `  dir/new\nline`,
		hexOf([]byte("b")) + "  b",
		hexOf([]byte("stream")) + "  -",
	}
	text := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(text) != 2*len(want) {
		t.Fatalf("manifest is %s", data)
	}
	for i, line := range want {
		url, _ := strings.CutPrefix(text[2*i], "# ")
		if up, ok := srv.Upload(url); !ok || !strings.Contains(line, hexOf(up.Data)) || text[2*i+1] != line {
			t.Errorf("lines are %q, want %q", text[2*i:2*i+2], line)
		}
	}
	sums, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("NOTICE: sha256sum is missing")
	}
	check := exec.Command(sums, "--check", "--strict", "SHA256SUMS")
	check.Dir, check.Stdin = cmd.Dir, strings.NewReader("stream")
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v: %s", err, out)
	}
}

func TestManifest_InterruptedHasFinishedFiles(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	large, _ := randomFile(t, 1_000_000)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--concurrency", "1", "--chunk-size", "100KB", "--manifest", "SHA256SUMS", "a", large, "z")
	writeTree(t, cmd.Dir, "a", "z")
	if got := interrupted(t, srv, cmd); got.code != exitInterrupted {
		t.Fatalf("outcome is %+v", got)
	}
	data, err := os.ReadFile(filepath.Join(cmd.Dir, "SHA256SUMS"))
	if err != nil || !strings.HasSuffix(string(data), hexOf([]byte("a"))+"  a\n") || strings.Count(string(data), "\n") != 2 {
		t.Errorf("manifest is %q, %v", data, err)
	}
}

func TestManifest_InDirectoryIsNotUploaded(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--manifest", "dir/SHA256SUMS", "dir")
	writeTree(t, cmd.Dir, "dir/a", "dir/SHA256SUMS")
	got := finish(t, cmd)
	if got.code != exitOK || !strings.Contains(got.stderr, "skipped: dir/SHA256SUMS is the manifest") {
		t.Errorf("outcome is %+v", got)
	}
	wantContents(t, srv, "dir/a")
}
