package filestore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
)

// Some tests run the test binary as another process. These variables select its task
// and its store.
const (
	taskVariable = "FILESTORE_TEST_TASK"
	dirVariable  = "FILESTORE_TEST_DIR"
)

func TestMain(m *testing.M) {
	task := map[string]func(string) error{"hold": hold, "write": putUntilKilled, "count": count}[os.Getenv(taskVariable)]
	if task == nil {
		os.Exit(m.Run())
	}
	if err := task(os.Getenv(dirVariable)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// hold holds the lock until its standard input ends.
func hold(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := filelock.Lock(context.Background(), f); err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return errors.Join(filelock.Unlock(f), f.Close())
}

// putUntilKilled puts records until it is killed, and prints the ID of each when Put
// has returned.
func putUntilKilled(dir string) error {
	s, err := filestore.Open(dir, nil)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		rec, err := s.Put(context.Background(), record("key"))
		if err != nil {
			return err
		}
		if _, err := fmt.Println(rec.ID); err != nil {
			return err
		}
	}
}

const counts = 40

// count adds 1 to the number in the record "counter", counts times.
func count(dir string) error {
	s, err := filestore.Open(dir, nil)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for done := 0; done < counts; {
		rec := storage.Record{ID: "counter", Fingerprint: "counter"}
		found, err := s.Find(context.Background(), "counter")
		if err != nil {
			return err
		}
		if len(found) > 0 {
			rec = found[0]
		}
		n, _ := strconv.Atoi(rec.Metadata["n"]) // 0 at first
		rec.Metadata = map[string]string{"n": strconv.Itoa(n + 1)}
		_, err = s.Put(context.Background(), rec)
		switch {
		case err == nil:
			done++
		case !errors.Is(err, storage.ErrConflict):
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

// start returns when the process is ready.
func start(t *testing.T, task, dir string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), taskVariable+"="+task, dirVariable+"="+dir)
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
	if line, err := p.out.ReadString('\n'); line != "ready\n" {
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

func TestPut_ProcessesLoseNoChange(t *testing.T) {
	dir := t.TempDir()
	const processes = 4
	var counting []*process
	for range processes {
		counting = append(counting, start(t, "count", dir))
	}
	for _, p := range counting {
		p.end(t)
	}
	found, err := open(t, dir, nil).Find(t.Context(), "counter")
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	if want := strconv.Itoa(processes * counts); found[0].Metadata["n"] != want || found[0].Revision != processes*counts {
		t.Errorf("counted to %s in revision %d, want %s", found[0].Metadata["n"], found[0].Revision, want)
	}
}

// Records for which Put returned nil are stored, whenever the process is killed, and
// the store is not corrupt or locked.
func TestPut_SurvivesKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for cycle := range 15 {
		p := start(t, "write", dir)
		for range 1 + cycle*3 {
			line, err := p.out.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			acknowledged[strings.TrimSpace(line)] = true
		}
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for {
			line, err := p.out.ReadString('\n')
			if err != nil {
				break // an incomplete line is not acknowledged
			}
			acknowledged[strings.TrimSpace(line)] = true
		}
		p.cmd.Wait() // it was killed

		s := open(t, dir, nil)
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
		put(t, s, record("key"))
	}
}
