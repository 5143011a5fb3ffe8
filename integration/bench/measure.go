package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"time"
)

// sample is the cost of one run.
type sample struct {
	wall     time.Duration // from the start of the process to its exit
	cpu      time.Duration // user and system
	rss      int64         // peak, in bytes
	requests int64         // at the server
	bytes    int64         // at the server
}

// runLimit is the timeout of a run.
const runLimit = 3 * time.Minute

// order is the command for a stopwatch.
type order struct {
	Path string
	Args []string // with the name of the program
	Env  []string
}

// reading is the result of a stopwatch.
type reading struct {
	Wall, CPU time.Duration
	RSS       int64
}

// measure runs a command once, in a stopwatch: a child process that only starts the
// command and waits. The kernel counts the memory of a parent as memory of its
// child, so the parent must be small.
func measure(ctx context.Context, command *exec.Cmd) (sample, error) {
	if command.Err != nil {
		return sample{}, command.Err
	}
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	encoded, err := json.Marshal(order{command.Path, command.Args, command.Env})
	if err != nil {
		return sample{}, err
	}
	watch := selfCommand(ctx, roleMeasure, string(encoded))
	var stdout, stderr bytes.Buffer
	watch.Stdout, watch.Stderr = &stdout, &stderr
	// The stopwatch kills the command at the end of its input.
	lifeline, err := watch.StdinPipe()
	if err != nil {
		return sample{}, err
	}
	watch.Cancel = lifeline.Close
	watch.WaitDelay = time.Second
	if err := watch.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		const maxText = 1000
		text := bytes.TrimSpace(stderr.Bytes())
		return sample{}, errors.Join(err, errors.New(string(text[:min(len(text), maxText)])))
	}
	var r reading
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		return sample{}, err
	}
	return sample{wall: r.Wall, cpu: r.CPU, rss: r.RSS}, nil
}

// stopwatch runs a command and measures it.
func stopwatch(ctx context.Context, o order, lifeline io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		io.Copy(io.Discard, lifeline)
		cancel()
	}()
	cmd := exec.CommandContext(ctx, o.Path)
	cmd.Args, cmd.Env, cmd.Stderr = o.Args, o.Env, os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(reading{
		Wall: time.Since(start),
		CPU:  cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
		RSS:  peakRSS(cmd.ProcessState),
	})
}
