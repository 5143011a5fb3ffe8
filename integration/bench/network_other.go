//go:build !linux

package main

import (
	"errors"
	"os/exec"
)

func separateNetwork(*exec.Cmd) error {
	return errors.New("that takes Linux")
}

func settleNetwork() error { return errors.ErrUnsupported }

func networkText() string { return "loopback connections" }
