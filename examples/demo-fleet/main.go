// Command demo-fleet shows workers that share a queue: three workers and a cluster of three
// NATS servers upload 20 files to a tusd, while two of the workers and one of the servers are
// killed. It ends with a table, and fails unless each file is stored once, byte for byte.
//
//	go run ./demo-fleet
package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	files    = 20
	fileSize = 2 << 20
	rate     = "2M" // of each worker
	// limit is far above the time that the demo takes.
	limit = 2 * time.Minute
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == nodeArgument {
		fatal(runNode(os.Stdin))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	fatal(demo(ctx))
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo-fleet:", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) { fmt.Printf("\n== "+format+"\n", args...) }

// demo runs everything in a temporary directory.
func demo(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "demo-fleet")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f := &fleet{dir: dir, tusup: filepath.Join(dir, "tusup.exe")}
	defer f.close()

	say("Building tusup")
	if err := f.build(ctx); err != nil {
		return err
	}
	start := time.Now()
	say("Starting a tusd, and three NATS servers that keep everything three times")
	if err := f.startServers(ctx); err != nil {
		return err
	}
	say("Queueing %d files of %d MiB", files, fileSize>>20)
	if err := f.makeFiles(); err != nil {
		return err
	}
	if err := f.run(ctx, "enqueue", "--endpoint", f.endpoint, "--root", f.media(), f.media()); err != nil {
		return err
	}
	say("Starting three workers, each with %s bytes per second", rate)
	for i := range 3 {
		if err := f.startWorker(ctx, fmt.Sprint("worker-", i+1)); err != nil {
			return err
		}
	}
	for _, kill := range []struct {
		after time.Duration
		do    func(context.Context) error
	}{
		{2500 * time.Millisecond, func(context.Context) error { return f.killWorker(0) }},
		{1500 * time.Millisecond, f.killLeader},
		{1500 * time.Millisecond, func(context.Context) error { return f.killWorker(1) }},
	} {
		if err := sleep(ctx, kill.after); err != nil {
			return err
		}
		if err := kill.do(ctx); err != nil {
			return err
		}
	}
	if err := f.waitForResults(ctx); err != nil {
		return err
	}
	return f.printTable(time.Since(start))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// build builds tusup from the module of this program.
func (f *fleet) build(ctx context.Context) error {
	_, source, _, ok := runtime.Caller(0)
	if !ok {
		return fmt.Errorf("the source of this program is unknown")
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", f.tusup, "../tusup")
	cmd.Dir, cmd.Stderr = filepath.Dir(source), os.Stderr
	return cmd.Run()
}

func (f *fleet) media() string { return filepath.Join(f.dir, "media") }
func (f *fleet) store() string { return filepath.Join(f.dir, "store") }

// makeFiles writes files of noise.
func (f *fleet) makeFiles() error {
	if err := os.Mkdir(f.media(), 0o755); err != nil {
		return err
	}
	noise := rand.NewChaCha8([32]byte{1})
	data := make([]byte, fileSize)
	for i := range files {
		noise.Read(data)
		if err := os.WriteFile(filepath.Join(f.media(), fmt.Sprintf("file-%02d.bin", i+1)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// run runs a command of tusup to its end.
func (f *fleet) run(ctx context.Context, args ...string) error {
	cmd := f.command(ctx, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tusup %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (f *fleet) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, f.tusup, args...)
	cmd.Dir = f.dir
	cmd.Env = append(os.Environ(), "TUS_STATE="+f.state, "XDG_CONFIG_HOME="+f.dir, "TUS_ENDPOINT=", "TUS_TOKEN=", "TUS_HEADERS=")
	return cmd
}
