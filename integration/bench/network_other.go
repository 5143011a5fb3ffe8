//go:build !linux

package main

import (
	"errors"
	"os/exec"
)

func separateNetwork(*exec.Cmd) error {
	return errors.New("no network of its own: that takes Linux")
}

func settleNetwork() error { return errors.ErrUnsupported }

func networkText() string { return "loopback connections" }
