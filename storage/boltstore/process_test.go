package boltstore_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

// Some tests run the test binary as another process. These variables select its task
// and its store.
const (
	taskVariable   = "BOLTSTORE_TEST_TASK"
	pathVariable   = "BOLTSTORE_TEST_PATH"
	sharedVariable = "BOLTSTORE_TEST_SHARED" // is not empty
)

func TestMain(m *testing.M) {
	task := map[string]func(*boltstore.Store) error{
		"hold": hold, "write": putUntilKilled, "fill disk": fillDisk, "share": share,
	}[os.Getenv(taskVariable)]
	if task == nil {
		os.Exit(m.Run())
	}
	s, err := boltstore.Open(os.Getenv(pathVariable), &boltstore.Options{
		LockTimeout: time.Minute, Shared: os.Getenv(sharedVariable) != "",
	})
	if err == nil {
		fmt.Println("open")
		err = task(s)
		s.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// hold keeps the store open until its standard input ends.
func hold(*boltstore.Store) error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// putUntilKilled puts records until it is killed, and prints the ID of each when Put
// has returned.
func putUntilKilled(s *boltstore.Store) error {
	const writers = 8
	ids := make(chan string)
	for range writers {
		go func() {
			for {
				rec, err := s.Put(context.Background(), record("key", 3))
				if err != nil {
					panic(err)
				}
				ids <- rec.ID
			}
		}()
	}
	for id := range ids {
		if _, err := fmt.Println(id); err != nil {
			return err
		}
	}
	return nil
}

// process is another process that runs a task.
type process struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

// start returns when the process has opened the store.
func start(t *testing.T, task, path string, opts boltstore.Options) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), taskVariable+"="+task, pathVariable+"="+path)
	if opts.Shared {
		cmd.Env = append(cmd.Env, sharedVariable+"=1")
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, in, bufio.NewReader(out)}
	t.Cleanup(func() { cmd.Process.Kill() })
	if line, err := p.out.ReadString('\n'); line != "open\n" {
		t.Fatalf("other process: %q, %v", line, err)
	}
	return p
}

// end closes the standard input of the process and waits until it exits.
func (p *process) end(t *testing.T) {
	t.Helper()
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("other process: %v", err)
	}
}

// acknowledged returns a channel with the lines that the process prints. An incomplete
// line of a killed process is not one.
func (p *process) acknowledged() <-chan string {
	lines := make(chan string, 10_000)
	go func() {
		defer close(lines)
		for {
			line, err := p.out.ReadString('\n')
			if err != nil {
				return
			}
			lines <- strings.TrimSpace(line)
		}
	}()
	return lines
}

// kill kills the process.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}

// Records for which Put returned nil are stored, whenever the process is killed.
func TestPut_SurvivesKill(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		path := filepath.Join(t.TempDir(), "uploads.db")
		acknowledged := map[string]bool{}
		for cycle := range 15 {
			p := start(t, "write", path, opts)
			lines := p.acknowledged()
			for range 1 + cycle*7 {
				acknowledged[<-lines] = true
			}
			p.kill(t)
			for line := range lines {
				acknowledged[line] = true
			}
			p.cmd.Wait() // it was killed

			s := open(t, path, &opts)
			stored := map[string]bool{}
			for rec, err := range s.All(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				stored[rec.ID] = true
			}
			for id := range acknowledged {
				if !stored[id] {
					t.Errorf("cycle %d: record %s was acknowledged but is lost", cycle, id)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
