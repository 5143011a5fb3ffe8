//go:build unix

package manifest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/digest"
)

// sha256sum runs sha256sum in dir.
func sha256sum(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("NOTICE: sha256sum is missing")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("sha256sum %q: %v: %s%s", args, err, stderr.Bytes(), stdout)
	}
	return stdout
}

// named creates a file for each of names, with the name as its content.
func named(t *testing.T) (dir string, entries []Entry) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Skip(err) // some systems allow only UTF-8
		}
		d, err := digest.OfFile(context.Background(), filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, Entry{Digest: d.Hex(), Name: name, URL: "https://example.org/files/" + d.Hex()})
	}
	return dir, entries
}

func TestSha256sum_AcceptsManifest(t *testing.T) {
	dir, entries := named(t)
	path := filepath.Join(t.TempDir(), "SHA256SUMS")
	if err := Write(path, entries); err != nil {
		t.Fatal(err)
	}
	got := sha256sum(t, dir, "--check", "--strict", path)
	if n := strings.Count(string(got), ": OK\n"); n != len(names) {
		t.Errorf("%d of %d files are OK:\n%s", n, len(names), got)
	}
}

func TestSha256sum_OutputIsRead(t *testing.T) {
	dir, want := named(t)
	for _, mode := range []string{"--text", "--binary"} {
		got, errs := Read(bytes.NewReader(sha256sum(t, dir, append([]string{mode, "--"}, names...)...)))
		if len(errs) > 0 || len(got) != len(want) {
			t.Fatalf("%s: %d entries, errors %v", mode, len(got), errs)
		}
		for i, e := range got {
			if e.Name != want[i].Name || e.Digest != want[i].Digest {
				t.Errorf("%s: entry is %q, want %q", mode, e, want[i])
			}
		}
	}
}
