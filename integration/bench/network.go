package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/seed-175555ba/tus-go/integration/npm"
)

// benchIsolated runs bench in a child process with its own loopback interface. If
// that is not permitted, ran is false and err is the reason. If the child fails,
// err matches errIsolated.
func benchIsolated(ctx context.Context, args []string) (ran bool, err error) {
	if err := probeNetwork(ctx); err != nil {
		return false, fmt.Errorf("no separate network: %w", err)
	}
	// Install it here: the child has no network. The child reports the error of a
	// failed installation.
	_, _ = npm.Install(ctx, nameTusJS, tusJSVersion)
	cmd, err := selfInNetwork(ctx, append([]string{roleIsolated}, args...)...)
	if err != nil {
		return false, err
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // lets it remove its files
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return true, fmt.Errorf("%w: %w", errIsolated, err)
	}
	return true, nil
}

// probeNetwork returns an error if a separate network is not possible.
func probeNetwork(ctx context.Context) error {
	probe, err := selfInNetwork(ctx, roleProbe)
	if err != nil {
		return err
	}
	return probe.Run()
}

// selfInNetwork returns a command that runs this program in a new network, which it
// must configure.
func selfInNetwork(ctx context.Context, args ...string) (*exec.Cmd, error) {
	cmd := selfCommand(ctx, args...)
	return cmd, separateNetwork(cmd)
}
