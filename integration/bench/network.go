package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/seed-175555ba/tus-go/integration/npm"
)

// alone runs bench in a further copy of this program that has the loopback
// interface for itself. Where that is not allowed, ran is false and err tells why;
// else err matches errAlone if the copy failed.
func alone(ctx context.Context, args []string) (ran bool, err error) {
	if err := probeNetwork(ctx); err != nil {
		return false, fmt.Errorf("no network of its own: %w", err)
	}
	// It is installed where there is a network, to be found where there is none. What
	// goes wrong with it shows there.
	_, _ = npm.Install(ctx, nameTusJS, tusJSVersion)
	cmd, err := copyInNetwork(ctx, append([]string{roleAlone}, args...)...)
	if err != nil {
		return false, err
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it has files to remove
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return true, fmt.Errorf("%w: %w", errAlone, err)
	}
	return true, nil
}

// probeNetwork returns why there can be no network for a copy of this program alone.
func probeNetwork(ctx context.Context) error {
	probe, err := copyInNetwork(ctx, roleProbe)
	if err != nil {
		return err
	}
	return probe.Run()
}

// copyInNetwork is a further copy of this program in a network that has to be
// settled.
func copyInNetwork(ctx context.Context, args ...string) (*exec.Cmd, error) {
	cmd := copyOfThis(ctx, args...)
	return cmd, separateNetwork(cmd)
}
