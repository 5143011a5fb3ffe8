//go:build !linux

package main

import (
	"errors"
	"os/exec"
)

func separateNetwork(*exec.Cmd) error {
	return errors.New("network namespaces require Linux")
}

func configureNetwork() error { return errors.ErrUnsupported }

func networkText() string { return "loopback connections" }
