//go:build unix

package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// The tests of this file type commands at a terminal, as a user would.

// atWidths runs a session at a terminal of the usual width and at a narrow one.
func atWidths(t *testing.T, session func(t *testing.T, columns int)) {
	for _, columns := range []int{80, 40} {
		t.Run(fmt.Sprintf("columns=%d", columns), func(t *testing.T) {
			t.Parallel()
			session(t, columns)
		})
	}
}

// writeFiles writes files of different content below dir, of 150 kB each.
func writeFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	for i, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Repeat(fmt.Sprintf("%s %05d\n", name, i), 10_000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// wantEachOnce fails unless the server has each file below dir exactly once, complete.
func wantEachOnce(t *testing.T, srv *tustest.Server, dir string) {
	t.Helper()
	stored := map[[32]byte]int{}
	for _, up := range srv.Uploads() {
		if up.Complete() {
			stored[sha256.Sum256(up.Data)]++
		}
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if n := stored[sha256.Sum256(data)]; n != 1 {
			t.Errorf("%s is stored %d times", path, n)
		}
		files++
		return err
	})
	if err != nil || files != len(stored) {
		t.Errorf("%d files, %d different uploads, %v", files, len(stored), err)
	}
}

// stallAt makes one PATCH stall, after skip others, and returns a channel that is closed then.
func stallAt(srv *tustest.Server, skip int) <-chan struct{} {
	stalled := make(chan struct{})
	var once sync.Once
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: skip, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		once.Do(func() { close(stalled) })
		tustest.Stall()(w, r, h)
	}})
	return stalled
}

var sixNames = []string{"a.txt", "b.txt", "sub/c.txt", "sub/d.txt", "sub/deeper/e.txt", "ünïcode name.txt"}

func TestSession_RunAgainUploadsOnlyTheRest(t *testing.T) {
	atWidths(t, func(t *testing.T, columns int) {
		srv := tustest.NewServer(t, nil)
		s := openConsole(t, columns, "TUS_ENDPOINT="+srv.Endpoint())
		dir := filepath.Join(s.dir, "six")
		writeFiles(t, dir, sixNames...)
		stalled := stallAt(srv, 4)
		s.start("tusup --concurrency 1 six")
		<-stalled
		s.send("\x03")
		screen, code := s.end()
		for _, want := range []string{"2 of 6 files unfinished", "to resume, run the same command again"} {
			if code != "130" || !strings.Contains(unwrapped(screen, columns), want) {
				t.Errorf("exit code %s, %q is not on the screen:\n%s", code, want, screen)
			}
		}
		screen, code = s.run("tusup --concurrency 1 six")
		if code != "0" || !strings.Contains(unwrapped(screen, columns), "6 files: 2 uploaded, 4 already uploaded") {
			t.Errorf("exit code %s:\n%s", code, screen)
		}
		wantNoBars(t, screen)
		wantEachOnce(t, srv, dir)
		sent := len(srv.Requests())
		if screen, code = s.run("tusup six"); code != "0" || !strings.Contains(unwrapped(screen, columns), "6 files: 6 already uploaded") || len(srv.Requests()) != sent {
			t.Errorf("exit code %s, %d more requests:\n%s", code, len(srv.Requests())-sent, screen)
		}
		if screen, _ = s.run("tusup list"); strings.Count(screen, "complete") != 6 {
			t.Errorf("list:\n%s", screen)
		}
		if _, code = s.run("tusup --again six/a.txt"); code != "0" || len(srv.Uploads()) != 7 {
			t.Errorf("--again: exit code %s, %d uploads", code, len(srv.Uploads()))
		}
		s.run("tusup forget --all")
		if screen, code = s.run("tusup six"); code != "0" || !strings.Contains(unwrapped(screen, columns), "6 files: 6 uploaded") {
			t.Errorf("after forget: exit code %s:\n%s", code, screen)
		}
	})
}

// unwrapped joins the rows that a line filled, so that a text is found at any width.
func unwrapped(screen string, columns int) string {
	var b strings.Builder
	for row := range strings.Lines(screen) {
		row = strings.TrimSuffix(row, "\n")
		b.WriteString(row)
		if len([]rune(row)) < columns {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// wantNoBars fails if progress stays on the screen.
func wantNoBars(t *testing.T, screen string) {
	t.Helper()
	if regexp.MustCompile(`\d ?%|[█▌━]|\[[=>. -]+\]`).MatchString(screen) {
		t.Errorf("progress stays on the screen:\n%s", screen)
	}
}

func TestSession_TwoAtOnceUploadEachFileOnce(t *testing.T) {
	atWidths(t, func(t *testing.T, columns int) {
		for _, flags := range []string{"--chunk-size 20KB", "--checksum off"} { // many requests for a file, and one
			srv := tustest.NewServer(t, nil)
			first := openConsole(t, columns, "TUS_ENDPOINT="+srv.Endpoint())
			dir := filepath.Join(first.dir, "six")
			writeFiles(t, dir, sixNames...)
			second := openConsole(t, columns, "TUS_ENDPOINT="+srv.Endpoint(), "XDG_STATE_HOME="+first.dir)
			third := openConsole(t, columns, "TUS_ENDPOINT="+srv.Endpoint(), "XDG_STATE_HOME="+first.dir)
			upload := "tusup --bwlimit 300K " + flags + " " + dir
			first.start(upload)
			second.start(upload)
			first.waitFor("%")
			if screen, code := third.run("tusup list"); code != "0" || strings.Contains(screen, "another process") {
				t.Errorf("list: exit code %s:\n%s", code, screen)
			}
			for _, s := range []*console{first, second} {
				if screen, code := s.end(); code != "0" {
					t.Errorf("exit code %s:\n%s", code, screen)
				}
			}
			wantEachOnce(t, srv, dir)
		}
	})
}

// retryAt matches which retry follows and when. A narrow terminal shows only when.
func retryAt(columns int) string {
	if columns < 80 {
		return `, \d+ s`
	}
	return `retry \d+ in \d+ s`
}

// serveAt starts tusup serve at an address.
func serveAt(t *testing.T, address, dir string) *exec.Cmd {
	t.Helper()
	server := command(t, "serve", "--addr", address, "--dir", dir)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(server) })
	return server
}

func TestSession_ServerDownFromTheStart(t *testing.T) {
	atWidths(t, func(t *testing.T, columns int) {
		address := freeAddress(t)
		s := openConsole(t, columns, "TUS_ENDPOINT=http://"+address+"/files/")
		writeFiles(t, s.dir, "a.txt")
		began := time.Now()
		s.start("tusup a.txt")
		s.waitFor("connection refused")
		s.waitMatch(retryAt(columns))
		if silent := time.Since(began); silent > 10*time.Second {
			t.Errorf("silent for %v", silent)
		}
		serveAt(t, address, "store")
		if screen, code := s.end(); code != "0" || !strings.Contains(screen, "a.txt") {
			t.Errorf("exit code %s:\n%s", code, screen)
		} else {
			wantNoBars(t, screen)
		}
	})
}

func TestSession_ServerDiesInTheMiddle(t *testing.T) {
	atWidths(t, func(t *testing.T, columns int) {
		address := freeAddress(t)
		store := t.TempDir()
		server := serveAt(t, address, store)
		s := openConsole(t, columns, "TUS_ENDPOINT=http://"+address+"/files/")
		writeFiles(t, s.dir, "a.txt")
		s.start("tusup --bwlimit 60K --checksum off a.txt")
		s.waitMatch(`[1-9]\d? ?%`)
		kill(server) // a zombie would hold its lock files
		s.waitMatch(`(?s)(refused|reset|broken|EOF|closed).*` + retryAt(columns))
		serveAt(t, address, store)
		screen, code := s.end()
		url := regexp.MustCompile(`/files/(\w+)`).FindStringSubmatch(unwrapped(screen, columns))
		if code != "0" || url == nil {
			t.Fatalf("exit code %s:\n%s", code, screen)
		}
		want, err := os.ReadFile(filepath.Join(s.dir, "a.txt"))
		if err != nil {
			t.Fatal(err)
		}
		wantOnDisk(t, store, url[1], want)
	})
}

func TestSession_WrongEndpointTokenAndHost(t *testing.T) {
	atWidths(t, func(t *testing.T, columns int) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if r.Header.Get("Authorization") != "Bearer right" {
				tustest.Respond(401, "unauthorized")(w, r, h)
				return
			}
			h.Serve(w, r)
		}})
		s := openConsole(t, columns)
		writeFiles(t, s.dir, "a.txt")
		for _, test := range []struct{ line, code, want string }{
			{"tusup a.txt", "2", "TUS_ENDPOINT"},
			{"tusup --endpoint localhost:1080/files/ a.txt", "2", "missing http://"},
			{"tusup --endpoint " + srv.Endpoint() + " a.txt", "1", "set TUS_TOKEN"},
			{"TUS_TOKEN=wrong tusup --endpoint " + srv.Endpoint() + " a.txt", "1", "401"},
			{"tusup --endpoint http://nosuchhost.invalid/files/ a.txt", "1", "no such host"},
			{"TUS_TOKEN=right tusup --endpoint " + srv.Endpoint() + " a.txt", "0", "a.txt →"},
		} {
			screen, code := s.run(test.line)
			if code != test.code || !strings.Contains(unwrapped(screen, columns), test.want) {
				t.Errorf("exit code %s, want %s and %q:\n%s", code, test.code, test.want, screen)
			}
		}
	})
}

func TestSession_StandardInputGlobsAndDryRun(t *testing.T) {
	atWidths(t, func(t *testing.T, columns int) {
		srv := tustest.NewServer(t, nil)
		s := openConsole(t, columns, "TUS_ENDPOINT="+srv.Endpoint())
		writeFiles(t, filepath.Join(s.dir, "six"), sixNames...)
		screen, code := s.run("tusup --dry-run --include '*.txt' --exclude 'sub/deeper/**' six")
		if code != "0" || !strings.Contains(screen, "a.txt") || strings.Contains(screen, "deeper/e.txt") || len(srv.Requests()) != 0 {
			t.Errorf("dry run: exit code %s, %d requests:\n%s", code, len(srv.Requests()), screen)
		}
		if screen, code = s.run("tusup --exclude '*.txt' six"); len(srv.Uploads()) != 0 {
			t.Errorf("exit code %s:\n%s", code, screen)
		}
		if _, code = s.run("find six -name 'a.txt' -print0 | tusup -0 --files-from -"); code != "0" || len(srv.Uploads()) != 1 {
			t.Errorf("--files-from: exit code %s, %d uploads", code, len(srv.Uploads()))
		}
		if _, code = s.run("cat six/b.txt | tusup -"); code != "0" || len(srv.Uploads()) != 2 {
			t.Errorf("standard input: exit code %s, %d uploads", code, len(srv.Uploads()))
		}
		if _, code = s.run("tusup six/[ab].txt"); code != "0" {
			t.Errorf("shell glob: exit code %s", code)
		}
	})
}

func TestSession_BashCompletes(t *testing.T) {
	s := openConsole(t, 80)
	s.run(`eval "$(tusup completion bash)"`)
	s.start("tusup --endp\t")
	s.waitFor("tusup --endpoint")
	s.send("\x15tusup --checksum sha5\t")
	s.waitFor("tusup --checksum sha512")
	s.send("\x15tusup termi\t")
	s.waitFor("tusup terminate")
	s.send("\x15")
}

func TestSession_ProgressFollowsTheWidth(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	s := openConsole(t, 120, "TUS_ENDPOINT="+srv.Endpoint())
	dir := filepath.Join(s.dir, "six")
	writeFiles(t, dir, sixNames...)
	s.start("tusup --bwlimit 150K --chunk-size 10KB six")
	s.waitMatch(`[1-9]\d? ?%`)
	for _, columns := range []int{40, 90, 60} {
		s.resize(columns)
		time.Sleep(300 * time.Millisecond) // a few frames
	}
	screen, code := s.end()
	if code != "0" || !strings.Contains(unwrapped(screen, 60), "6 uploaded") {
		t.Errorf("exit code %s:\n%s", code, screen)
	}
	wantEachOnce(t, srv, dir)
}
