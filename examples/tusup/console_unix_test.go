//go:build unix

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// console is a bash in a terminal, at which a test types commands.
type console struct {
	t   *testing.T
	dir string
	tty *os.File

	mu     sync.Mutex
	screen *vt.Emulator
	raw    strings.Builder
}

// consoleRows is the height of a terminal: nothing that a test reads scrolls off.
const consoleRows = 100

// openConsole starts a bash that has tusup in its PATH, in an empty directory.
func openConsole(t *testing.T, columns int, env ...string) *console {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("NOTICE: bash is missing: sessions at a terminal are not tested")
	}
	like := command(t)
	cmd := exec.Command(bash, "--norc", "--noprofile")
	cmd.Dir = like.Dir
	cmd.Env = append(like.Env, "PS1=$ ", "TERM=xterm-256color", "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, env...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: consoleRows, Cols: uint16(columns)})
	if err != nil {
		t.Fatal(err)
	}
	s := &console{t: t, dir: cmd.Dir, tty: tty, screen: vt.NewEmulator(columns, consoleRows)}
	var reading sync.WaitGroup
	reading.Go(s.read)
	go io.Copy(tty, s.screen) // what a terminal replies to queries
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		tty.Close()
		reading.Wait()
		s.screen.InputPipe().(io.Closer).Close() // ends the copy; Close of the screen races with it
		if t.Failed() {
			t.Logf("the screen:\n%s", s.text())
		}
	})
	s.waitFor("$ ")
	return s
}

// read shows the output on the screen.
func (s *console) read() {
	buf := make([]byte, 4096)
	for {
		n, err := s.tty.Read(buf)
		s.mu.Lock()
		s.raw.Write(buf[:n])
		s.screen.Write(buf[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// text returns the screen without spaces at the ends of rows.
func (s *console) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []string
	for row := range strings.Lines(s.screen.String()) {
		rows = append(rows, strings.TrimRight(row, " \r\n"))
	}
	return strings.TrimRight(strings.Join(rows, "\n"), "\n")
}

// send types text.
func (s *console) send(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.tty, text); err != nil {
		s.t.Fatal(err)
	}
}

// start types a command, and returns when its output may begin.
func (s *console) start(line string) {
	s.t.Helper()
	s.send("clear\n")
	s.waitMatch(`^\$$`)
	s.send(line + "\n")
}

// run types a command and returns what is on the screen when it has ended, and its exit code.
func (s *console) run(line string) (output string, code string) {
	s.t.Helper()
	s.start(line)
	return s.end()
}

// end returns what is on the screen when the command has ended, and its exit code.
func (s *console) end() (output string, code string) {
	s.t.Helper()
	s.waitMatch(`(?s)\n\$$`)
	output = s.text()
	s.send("echo code=$?\n")
	return output, s.waitMatch(`(?m)^code=(\d+)$`)
}

// waitFor waits until the screen has a text.
func (s *console) waitFor(text string) {
	s.t.Helper()
	s.waitMatch(regexp.QuoteMeta(strings.TrimRight(text, " ")))
}

// waitMatch waits until the screen matches, and returns the first group.
func (s *console) waitMatch(pattern string) string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.Now().Add(30 * time.Second)
	for {
		if m := re.FindStringSubmatch(s.text()); m != nil {
			return m[len(m)-1]
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%q is not on the screen", pattern)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// resize changes the width of the terminal.
func (s *console) resize(columns int) {
	s.t.Helper()
	s.mu.Lock()
	s.screen.Resize(columns, consoleRows)
	s.mu.Unlock()
	if err := pty.Setsize(s.tty, &pty.Winsize{Rows: consoleRows, Cols: uint16(columns)}); err != nil {
		s.t.Fatal(err)
	}
}
