//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// terminal is an emulated terminal that a command writes to.
type terminal struct {
	tty    *os.File
	closed chan struct{}

	mu     sync.Mutex
	screen *vt.Emulator
	raw    bytes.Buffer
}

// startInTerminal starts cmd in a terminal: standard input and standard error, and standard
// output unless it is set.
func startInTerminal(t *testing.T, cmd *exec.Cmd, columns, rows int) *terminal {
	t.Helper()
	tty, err := pty.StartWithSize(cmd, winsize(columns, rows))
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{tty: tty, closed: make(chan struct{}), screen: vt.NewEmulator(columns, rows)}
	go func() {
		defer close(term.closed)
		io.Copy(term, tty) // ends with EIO when the command exits
	}()
	go io.Copy(tty, term.screen) // what a terminal replies to queries
	t.Cleanup(func() {
		kill(cmd)
		tty.Close()
		<-term.closed
		term.screen.InputPipe().(io.Closer).Close() // ends the copy; Close of the screen races with it
		if t.Failed() {
			t.Logf("the screen:\n%s", term.text())
		}
	})
	return term
}

func winsize(columns, rows int) *pty.Winsize {
	return &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)}
}

func (t *terminal) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raw.Write(data)
	return t.screen.Write(data)
}

// resize changes the size of the terminal. Before the screen becomes narrower, the command
// has two frames of time to follow: one that it has written before would wrap.
func (t *terminal) resize(columns, rows int) error {
	if columns < t.screen.Width() {
		if err := pty.Setsize(t.tty, winsize(columns, rows)); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.screen.Resize(columns, rows)
	return pty.Setsize(t.tty, winsize(columns, rows))
}

// rows returns the rows of the screen up to the last one with text, without spaces at their
// ends.
func (t *terminal) rows() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows := strings.Split(t.screen.String(), "\n")
	for i, row := range rows {
		rows[i] = strings.TrimRight(row, " \r")
	}
	for len(rows) > 0 && rows[len(rows)-1] == "" {
		rows = rows[:len(rows)-1]
	}
	return rows
}

// text returns the rows as one text.
func (t *terminal) text() string { return strings.Join(t.rows(), "\n") }

// match waits until the screen matches, and returns the last group.
func (t *terminal) match(tb testing.TB, pattern string, most time.Duration) string {
	tb.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.Now().Add(most)
	for {
		if m := re.FindStringSubmatch(t.text()); m != nil {
			return m[len(m)-1]
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%q is not on the screen", pattern)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// await waits until a row matches pattern.
func (t *terminal) await(tb testing.TB, pattern string) {
	tb.Helper()
	t.match(tb, "(?m)"+pattern, 20*time.Second)
}
