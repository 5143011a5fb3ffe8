//go:build unix

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestWatch_CrashesStoreEachFileOnce drops files into a directory while watch and the server
// are killed, again and again, and while the resume database cannot grow.
func TestWatch_CrashesStoreEachFileOnce(t *testing.T) {
	t.Parallel()
	files := map[string]int{"move": 200, "keep": 50, "delete": 50}
	for name, args := range map[string][]string{"move": {"--move-to", "done"}, "keep": nil, "delete": {"--delete"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := files[name]
			if testing.Short() {
				n /= 5
			}
			newCrashTest(t, n, args).run()
		})
	}
}

// crashTestLimit bounds the time of a process: that of the last server is most of the test.
const crashTestLimit = 5 * time.Minute

// crashTest is a directory with its files, the server, and the watch of the moment.
type crashTest struct {
	t       *testing.T
	dir     string // of the test: spool, done, store, uploads.db
	args    []string
	content map[string][]byte
	random  *rand.Rand
	server  *exec.Cmd
	// endpoint is the same after each restart of the server.
	endpoint string
	watch    *exec.Cmd
	stderr   *syncBuffer
}

func newCrashTest(t *testing.T, files int, args []string) *crashTest {
	c := &crashTest{t: t, dir: t.TempDir(), args: args, content: map[string][]byte{}, random: rand.New(rand.NewPCG(1, uint64(files))), stderr: &syncBuffer{}}
	if err := os.MkdirAll(filepath.Join(c.dir, "spool", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	noise := rand.NewChaCha8([32]byte{9})
	for i := range files {
		size := c.random.IntN(100_000)
		switch i % 10 {
		case 0:
			size = 0
		case 1:
			size = 1 + c.random.IntN(10)
		case 2:
			size = c.random.IntN(2 << 20)
		}
		data := make([]byte, size)
		noise.Read(data)
		name := fmt.Sprintf("file-%03d.bin", i)
		if i%3 == 0 {
			name = "sub/" + name
		}
		c.content[name] = data
	}
	return c
}

func (c *crashTest) run() {
	c.startServer()
	var crashes sync.WaitGroup
	dropped := make(chan struct{})
	crashes.Go(func() { // the server
		for next := 1; ; next++ {
			select {
			case <-dropped:
				return
			case <-time.After(1500 * time.Millisecond):
			}
			kill(c.server)
			time.Sleep(200 * time.Millisecond)
			c.startServer()
		}
	})
	crashes.Go(func() { // watch
		for {
			c.startWatch()
			select {
			case <-dropped:
				kill(c.watch)
				return
			case <-time.After(time.Duration(300+c.random.IntN(900)) * time.Millisecond):
			}
			kill(c.watch)
		}
	})
	names := slices.Collect(maps.Keys(c.content))
	late := len(names) / 5
	c.drop(names[late:], 45*time.Millisecond)
	close(dropped)
	crashes.Wait()
	if c.t.Failed() {
		return
	}

	// A kill while the database cannot grow could upload a file twice: watch is stopped.
	c.startWatch("bash", "-c", `ulimit -f 20; exec "$0" "$@"`)
	c.drop(names[:late], 45*time.Millisecond)
	c.eventually("the resume database cannot grow", func() bool {
		return strings.Contains(c.stderr.String(), "file too large")
	})
	c.stopWatch()

	c.startWatch()
	c.eventually("all files are stored", func() bool { return len(c.stored()) == len(c.content) && c.spoolIsDone() })
	c.stopWatch()
	c.startWatch() // finds nothing to upload
	time.Sleep(time.Second)
	c.stopWatch()
	c.check()
	if c.t.Failed() {
		c.t.Logf("%s", c.stderr)
	}
}

// drop writes files, half of them under a temporary name first.
func (c *crashTest) drop(names []string, pause time.Duration) {
	for _, name := range names {
		data := c.content[name]
		path := filepath.Join(c.dir, "spool", filepath.FromSlash(name))
		temporary := path
		if len(data)%2 == 0 {
			temporary += ".part"
		}
		err := os.WriteFile(temporary, data, 0o644)
		if err == nil && temporary != path {
			err = os.Rename(temporary, path)
		}
		if err != nil {
			c.t.Error(err)
			return
		}
		time.Sleep(pause)
	}
}

func (c *crashTest) startServer() {
	addr := "127.0.0.1:0"
	if u, err := url.Parse(c.endpoint); err == nil && u.Host != "" {
		addr = u.Host
	}
	c.server = commandWithin(c.t, crashTestLimit, "serve", "--addr", addr, "--dir", filepath.Join(c.dir, "store"))
	stdout, err := c.server.StdoutPipe()
	if err == nil {
		err = c.server.Start()
	}
	if err != nil {
		c.t.Error(err)
		return
	}
	server := c.server
	c.t.Cleanup(func() { kill(server) })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		c.t.Errorf("tusup serve: %v", err)
		return
	}
	if c.endpoint == "" {
		c.endpoint = strings.Fields(line)[2]
	}
}

// startWatch starts watch, in a program if there is one.
func (c *crashTest) startWatch(in ...string) {
	args := append([]string{"watch", "spool", "--endpoint", c.endpoint, "--state", "uploads.db",
		"--scan", "1s", "--settle", "200ms", "--bwlimit", "4MB"}, c.args...)
	c.watch = commandWithin(c.t, crashTestLimit, args...)
	if len(in) > 0 {
		c.watch.Path, _ = exec.LookPath(in[0])
		c.watch.Args = append(in, c.watch.Args...)
	}
	c.watch.Dir = c.dir
	c.watch.Stdout, c.watch.Stderr = c.stderr, c.stderr
	if err := c.watch.Start(); err != nil {
		c.t.Error(err)
		return
	}
	watch := c.watch
	c.t.Cleanup(func() { kill(watch) })
}

// stopWatch stops watch as systemd does.
func (c *crashTest) stopWatch() {
	c.t.Helper()
	_ = c.watch.Process.Signal(syscall.SIGTERM)
	if err := c.watch.Wait(); err != nil {
		c.t.Fatalf("watch after SIGTERM: %v\n%s", err, c.stderr)
	}
}

func (c *crashTest) eventually(what string, holds func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("timeout: %s: %d of %d stored\n%s", what, len(c.stored()), len(c.content), c.stderr)
		}
	}
}

// stored returns the hashes of the complete uploads of each file.
func (c *crashTest) stored() map[string][][32]byte {
	stored := map[string][][32]byte{}
	infos, _ := filepath.Glob(filepath.Join(c.dir, "store", "*.info"))
	for _, path := range infos {
		var info struct {
			Size           int64
			SizeIsDeferred bool
			MetaData       map[string]string
		}
		text, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(text, &info) != nil {
			continue // killed while it was written
		}
		data, err := os.ReadFile(strings.TrimSuffix(path, ".info"))
		if err == nil && !info.SizeIsDeferred && int64(len(data)) == info.Size {
			name := info.MetaData["filename"]
			stored[name] = append(stored[name], sha256.Sum256(data))
		}
	}
	return stored
}

// names returns the files below a directory, without their directories.
func (c *crashTest) names(dir string) map[string][]byte {
	names := map[string][]byte{}
	_ = filepath.WalkDir(filepath.Join(c.dir, dir), func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(filepath.Join(c.dir, dir), path)
			names[filepath.ToSlash(name)], _ = os.ReadFile(path)
		}
		return nil
	})
	return names
}

// spoolIsDone reports whether no file is left to move or delete.
func (c *crashTest) spoolIsDone() bool { return len(c.args) == 0 || len(c.names("spool")) == 0 }

// check fails unless each file is stored once, byte for byte, and disposed of.
func (c *crashTest) check() {
	stored := c.stored()
	for name, data := range c.content {
		got := stored[filepath.Base(name)]
		if len(got) != 1 || got[0] != sha256.Sum256(data) {
			c.t.Errorf("%s of %d bytes is stored %d times, or with other bytes", name, len(data), len(got))
		}
	}
	if len(stored) != len(c.content) {
		c.t.Errorf("%d files are stored, want %d", len(stored), len(c.content))
	}
	kept := "done"
	switch {
	case len(c.args) == 0:
		kept = "spool"
	case c.args[0] == "--delete":
		return
	}
	got := c.names(kept)
	for name, data := range c.content {
		if !bytes.Equal(got[name], data) {
			c.t.Errorf("%s of %d bytes is not in %s, or with other bytes", name, len(data), kept)
		}
	}
	if len(got) != len(c.content) {
		c.t.Errorf("%s has %d files, want %d", kept, len(got), len(c.content))
	}
}
