//go:build unix

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// console is a bash in a terminal, at which a test types commands.
type console struct {
	*terminal
	t   *testing.T
	dir string
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
	s := &console{terminal: startInTerminal(t, cmd, columns, consoleRows), t: t, dir: cmd.Dir}
	s.waitFor("$ ")
	return s
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

// waitMatch waits until the screen matches, and returns the last group.
func (s *console) waitMatch(pattern string) string {
	s.t.Helper()
	return s.match(s.t, pattern, 30*time.Second)
}

// resize changes the width of the terminal.
func (s *console) resize(columns int) {
	s.t.Helper()
	if err := s.terminal.resize(columns, consoleRows); err != nil {
		s.t.Fatal(err)
	}
}
