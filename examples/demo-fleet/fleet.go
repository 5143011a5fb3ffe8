package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// fleet has the processes of the demo.
type fleet struct {
	dir, tusup string
	endpoint   string
	state      string // --state
	tusd       *exec.Cmd
	nodes      map[string]*exec.Cmd
	workers    []*worker
	killed     []string

	mu      sync.Mutex
	results map[string]result // by name of the file
}

// worker is a process that uploads.
type worker struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	done sync.WaitGroup // of what reads its output
}

// result is the line that a worker prints for a file.
type result struct {
	File        string `json:"file"`
	Worker      string `json:"worker"`
	ResumedFrom int64  `json:"resumed_from"`
	BytesSent   int64  `json:"bytes_sent"`
	Error       any    `json:"error"`
}

func kill(cmd *exec.Cmd) {
	if cmd != nil && cmd.Process != nil && cmd.ProcessState == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// close ends all processes.
func (f *fleet) close() {
	for _, w := range f.workers {
		w.kill()
	}
	for _, node := range f.nodes {
		kill(node)
	}
	kill(f.tusd)
}

func (f *fleet) startServers(ctx context.Context) error {
	f.tusd = f.command(ctx, "serve", "--addr", "127.0.0.1:0", "--dir", f.store())
	stdout, err := f.tusd.StdoutPipe()
	if err == nil {
		err = f.tusd.Start()
	}
	if err != nil {
		return err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return fmt.Errorf("tusup serve: %w", err)
	}
	f.endpoint = strings.Fields(line)[2] // tusd at ENDPOINT stores in DIR
	return f.startNodes(ctx)
}

func (f *fleet) startWorker(ctx context.Context, name string) error {
	log, err := os.Create(filepath.Join(f.dir, name+".log"))
	if err != nil {
		return err
	}
	w := &worker{name: name, log: log}
	w.cmd = f.command(ctx, "worker", "--name", name, "--root", f.media(), "--concurrency", "2", "--bwlimit", rate, "--chunk-size", "256K", "--json")
	w.cmd.Stderr = log
	stdout, err := w.cmd.StdoutPipe()
	if err == nil {
		err = w.cmd.Start()
	}
	if err != nil {
		return err
	}
	f.workers = append(f.workers, w)
	w.done.Go(func() { f.read(stdout) })
	return nil
}

// read collects the results of a worker.
func (f *fleet) read(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var r result
		if json.Unmarshal(lines.Bytes(), &r) != nil || r.File == "" || r.Error != nil {
			continue
		}
		f.mu.Lock()
		if f.results == nil {
			f.results = map[string]result{}
		}
		f.results[r.File] = r
		f.mu.Unlock()
		text := ""
		if r.ResumedFrom > 0 {
			text = fmt.Sprintf(", resumed from byte %d", r.ResumedFrom)
		}
		fmt.Printf("   %s uploaded %s%s\n", r.Worker, r.File, text)
	}
}

// kill kills the worker, and returns when its output has been read.
func (w *worker) kill() {
	if w.cmd.ProcessState != nil {
		return
	}
	_ = w.cmd.Process.Kill()
	w.done.Wait()
	_ = w.cmd.Wait()
	w.log.Close()
}

// killWorker kills one of the workers, in the middle of its uploads.
func (f *fleet) killWorker(i int) error {
	say("Killing %s with SIGKILL", f.workers[i].name)
	f.workers[i].kill()
	f.killed = append(f.killed, f.workers[i].name)
	return nil
}

// waitForResults returns when all files are uploaded.
func (f *fleet) waitForResults(ctx context.Context) error {
	say("The workers and servers that are left continue")
	for {
		stored, err := f.stored()
		if err == nil && len(stored) >= files {
			break
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			f.printLogs()
			return fmt.Errorf("%d of %d files are stored: %w", len(stored), files, err)
		}
	}
	return sleep(ctx, time.Second) // for results that are printed, and for uploads that must not come
}

func (f *fleet) printLogs() {
	for _, w := range f.workers {
		text, _ := os.ReadFile(w.log.Name())
		fmt.Fprintf(os.Stderr, "%s:\n%s\n", w.name, text)
	}
}

// stored returns the complete uploads on the server by the name of the file.
func (f *fleet) stored() (map[string][]string, error) {
	infos, err := filepath.Glob(filepath.Join(f.store(), "*.info"))
	stored := map[string][]string{}
	for _, path := range infos {
		var info struct {
			Size     int64
			MetaData map[string]string
		}
		text, readErr := os.ReadFile(path)
		if readErr != nil || json.Unmarshal(text, &info) != nil {
			continue // it is being written
		}
		path = strings.TrimSuffix(path, ".info")
		if stat, err := os.Stat(path); err == nil && stat.Size() == info.Size {
			stored[info.MetaData["filename"]] = append(stored[info.MetaData["filename"]], path)
		}
	}
	return stored, err
}

// printTable prints what happened to each file, and fails unless each is stored once.
func (f *fleet) printTable(took time.Duration) error {
	stored, err := f.stored()
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	say("Result, with %s killed", strings.Join(f.killed, ", "))
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "   file\tfinished by\tresumed from\tstored\tequal")
	once, equal, takeovers := 0, 0, 0
	for i := range files {
		name := fmt.Sprintf("file-%02d.bin", i+1)
		uploads, r := stored[name], f.results[name]
		same := len(uploads) > 0 && sum(filepath.Join(f.media(), name)) == sum(uploads[0])
		if same {
			equal++
		}
		if len(uploads) == 1 {
			once++
		}
		resumed := "-"
		if r.ResumedFrom > 0 {
			takeovers++
			resumed = fmt.Sprint(r.ResumedFrom)
		}
		by := r.Worker
		if by == "" {
			by = "(killed before it printed the result)"
		}
		fmt.Fprintf(table, "   %s\t%s\t%s\t%d×\t%v\n", name, by, resumed, len(uploads), same)
	}
	table.Flush()
	uploads, bytes := f.countBytes()
	fmt.Printf("\n   %d files: %d stored once, %d equal, %d taken over in the middle\n", files, once, equal, takeovers)
	fmt.Printf("   uploads on the server: %d, with %d bytes for %d\n", uploads, bytes, files*fileSize)
	fmt.Printf("   time: %v\n", took.Round(time.Second/10))
	if once != files || equal != files || uploads != files {
		return errors.New("not every file is stored exactly once")
	}
	return nil
}

// countBytes returns the number of uploads on the server, and of their bytes.
func (f *fleet) countBytes() (uploads int, bytes int64) {
	infos, _ := filepath.Glob(filepath.Join(f.store(), "*.info"))
	for _, path := range infos {
		if stat, err := os.Stat(strings.TrimSuffix(path, ".info")); err == nil {
			bytes += stat.Size()
		}
	}
	return len(infos), bytes
}

func sum(path string) [32]byte {
	data, err := os.ReadFile(path)
	if err != nil {
		return [32]byte{}
	}
	return sha256.Sum256(data)
}
