package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestUpload_LinkToDirectoryIsFollowed(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	dir := t.TempDir()
	real := filepath.Join(dir, "real")
	os.Mkdir(real, 0o700)
	os.WriteFile(filepath.Join(real, "a"), []byte("hello"), 0o600)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(real, link); err != nil {
		t.Skip(err)
	}
	got := tusup(t, "--endpoint", srv.Endpoint(), "--json", "--relative-names", link)
	if len(srv.Uploads()) != 1 {
		t.Fatalf("%d uploads, exit code %d, stdout %q, stderr %q", len(srv.Uploads()), got.code, got.stdout, got.stderr)
	}
	if l := decode(t, got.stdout); l.File != filepath.Join(link, "a") {
		t.Errorf("file is %s", l.File)
	}
}

func TestConcurrency_MaxIntUsesNoMemory(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 100)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--concurrency", "9223372036854775807", path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wantExit(t, cmd, 5*time.Second, exitOK)
}

func wantExit(t *testing.T, cmd *exec.Cmd, limit time.Duration, code int) {
	t.Helper()
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	select {
	case <-done:
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("exit code %d, want %d", got, code)
		}
	case <-time.After(limit):
		cmd.Process.Kill()
		<-done
		t.Errorf("still running after %v", limit)
	}
}

func TestInterrupt_SecondExitsWithBlockedOutput(t *testing.T) {
	for _, blocked := range []string{"stdout", "stderr"} {
		t.Run(blocked, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			dir := t.TempDir()
			long := strings.Repeat("n", 200)
			for i := range 1500 {
				os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s%d", long, i)), []byte("hello"), 0o600)
			}
			r, w, err := os.Pipe() // has a buffer of 64 KiB, and is never read
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			args := []string{"--endpoint", srv.Endpoint(), "--no-state", dir}
			if blocked == "stderr" {
				args = append([]string{"--verbose"}, args...)
			} else {
				args = append([]string{"--json"}, args...)
			}
			cmd := command(t, args...)
			if blocked == "stderr" {
				cmd.Stderr = w
			} else {
				cmd.Stdout = w
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			for before := -1; len(srv.Uploads()) > before; time.Sleep(300 * time.Millisecond) {
				before = len(srv.Uploads()) // until the pipe is full
			}
			cmd.Process.Signal(syscall.SIGINT)
			time.Sleep(200 * time.Millisecond) // signals sent at the same time are merged
			cmd.Process.Signal(syscall.SIGINT)
			wantExit(t, cmd, 5*time.Second, exitInterrupted)
		})
	}
}

func TestOutput_EscapesControlCharactersOfServer(t *testing.T) {
	const csi = "\u009b" // CSI as one character
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Tus-Resumable", "1.0.0")
		h.Set("Tus-Version", "1.0.0,"+csi+"2J")
		h.Set("Tus-Extension", "creation,"+csi+"2J")
		h.Set("Upload-Offset", "0")
		h.Set("Upload-Length", "10")
		h.Set("Upload-Metadata", "k"+csi+"2J aGVsbG8=")
		h.Set("Upload-Concat", "final;/files/"+csi+"2J")
	})}
	go hs.Serve(ln)
	t.Cleanup(func() { hs.Close() })
	endpoint := "http://" + ln.Addr().String() + "/files/"
	for _, args := range [][]string{{"info", endpoint + "a"}, {"capabilities", "--endpoint", endpoint}} {
		got := tusup(t, args...)
		if strings.Contains(got.stdout, csi) || got.code != exitOK {
			t.Errorf("%s: exit code %d, standard output %q", args[0], got.code, got.stdout)
		}
	}
}

func TestHeader_InvalidIsNotRepeated(t *testing.T) {
	path, _ := randomFile(t, 10)
	got := tusup(t, "--endpoint", "http://127.0.0.1:1/", "--header", "Authorization Basic user:pa55", "--header", "X-Token S3CRET:1", path)
	if got.code != exitUsage || strings.Contains(got.stderr, "user") || strings.Contains(got.stderr, "S3CRET") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

func TestForgetAll_RemovesCorruptRecords(t *testing.T) {
	cmd := command(t, "forget", "--all")
	path := filepath.Join(cmd.Dir, "state.db")
	cmd.Args = append(cmd.Args, "--state", path)
	s, err := boltstore.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := s.Put(context.Background(), storage.Record{ID: storage.NewID(), Fingerprint: "f", Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("records"))
		v := append([]byte(nil), b.Get([]byte(rec.ID))...)
		v[len(v)-5] ^= 1
		return b.Put([]byte(rec.ID), v)
	})
	db.Close()
	got := finish(t, cmd)
	list := tusup(t, "list", "--state", path)
	if got.code == exitOK && list.code != exitOK {
		t.Errorf("forget --all: exit code %d, %q; then list: exit code %d, %s", got.code, got.stderr, list.code, list.stderr)
	}
}

func TestUpload_NameThatIsNotUTF8(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	dir := t.TempDir()
	wanted, other := filepath.Join(dir, "a\xff"), filepath.Join(dir, "a\ufffd")
	if err := os.WriteFile(wanted, []byte("wanted"), 0o600); err != nil {
		t.Skip(err)
	}
	os.WriteFile(other, []byte("another"), 0o600)
	got := tusup(t, "--endpoint", srv.Endpoint(), "--progress", "none", "--metadata", "k=\xfe", wanted)
	if ups := srv.Uploads(); len(ups) != 1 || string(ups[0].Data) != "wanted" {
		t.Errorf("exit code %d, %d uploads, %q; %s", got.code, len(ups), ups[0].Data, got.stderr)
	}
}
