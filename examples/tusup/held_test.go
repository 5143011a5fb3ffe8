package main

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestHeldText_DependsOnPolicyAndWait(t *testing.T) {
	until := time.Date(2026, 11, 30, 15, 4, 5, 0, time.Local)
	for _, test := range []struct {
		policy string
		wait   time.Duration
		want   string
	}{
		{"wait", 50*time.Second + time.Millisecond, "; waiting for it"},
		{"wait", 0, "; starting a second upload"}, // its holder is alive
		{"begin", 0, "; starting a second upload"},
		{"fail", 0, ""},
	} {
		u := &uploadCommand{Held: test.policy}
		got := u.heldText("movie.mp4", &tus.HeldError{Until: until, Wait: test.wait})
		if want := "movie.mp4: another uploader holds its stored upload until 15:04:05" + test.want; got != want {
			t.Errorf("%s: %q, want %q", test.policy, got, want)
		}
	}
}

func TestHeldHook_LogsFirstWaitOnly(t *testing.T) {
	for verbose, want := range map[bool]int{false: 2, true: 3} {
		log, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		u := &uploadCommand{Held: "wait"}
		hook := u.heldHook(&program{stderr: log}, &common{Verbose: verbose})
		hook(&tus.Uploader{}, &tus.HeldError{Wait: time.Minute})
		hook(&tus.Uploader{}, &tus.HeldError{Wait: time.Minute})
		hook(&tus.Uploader{}, &tus.HeldError{}) // begins a second upload
		text, err := os.ReadFile(log.Name())
		if lines := strings.Count(string(text), "\n"); err != nil || lines != want {
			t.Errorf("verbose %v: %d lines, want %d: %s (%v)", verbose, lines, want, text, err)
		}
	}
}

func TestHeld_FileOfOneRequestIsUploadedOnce(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	arrived, release := make(chan struct{}), make(chan struct{})
	srv.Inject(tustest.Fault{Method: "POST", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		close(arrived)
		<-release
		h.Serve(w, r)
	}})
	path, data := randomFile(t, 1000)
	args := []string{"--endpoint", srv.Endpoint(), "--state", filepath.Join(t.TempDir(), "uploads.db"), path}
	first, second := command(t, args...), command(t, args...)
	var stdout strings.Builder
	second.Stdout = &stdout
	stderr, err := second.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	<-arrived
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "another uploader holds its stored upload") {
	}
	close(release)
	io.Copy(io.Discard, stderr)
	if err := errors.Join(first.Wait(), second.Wait()); err != nil {
		t.Fatal(err)
	}
	if n := len(srv.Uploads()); n != 1 || !strings.Contains(stdout.String(), "already uploaded") {
		t.Fatalf("%d uploads, the second printed: %s", n, stdout.String())
	}
	wantStored(t, srv, srv.Uploads()[0].ID, data)
}

func TestOutput_ReportsUploadThatStartedOver(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 1_000_000)
	args := []string{"--endpoint", srv.Endpoint(), "--state", filepath.Join(t.TempDir(), "uploads.db"), "--chunk-size", "100KB", path}
	interrupted(t, srv, command(t, args...))
	srv.Forget(srv.Uploads()[0].ID)
	got := tusup(t, args...)
	if got.code != exitOK || !strings.Contains(got.stdout, ", started over (stored uploads not resumed: 1)") {
		t.Errorf("outcome is %+v", got)
	}
}

func TestState_ReadableByOthersIsMadePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such permissions on Windows")
	}
	srv, state := tustest.NewServer(t, nil), filepath.Join(t.TempDir(), "uploads.db")
	path, _ := randomFile(t, 1000)
	if err := os.WriteFile(state, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(state, 0o644); err != nil {
		t.Fatal(err)
	}
	got := tusup(t, "--endpoint", srv.Endpoint(), "--state", state, path)
	info, err := os.Stat(state)
	if err != nil || info.Mode().Perm() != 0o600 || got.code != exitOK || !strings.Contains(got.stderr, "warning: storage: "+state+": other users had access") {
		t.Errorf("outcome is %+v, mode %v, %v", got, info.Mode(), err)
	}
}
